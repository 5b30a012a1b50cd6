"""The page on a secure Redis has a line for each test of what an attacker can still do."""

import re

from tests.integration.processes import ROOT


def test_every_line_of_the_docs_table_has_its_test() -> None:
    """And every test of what is left to an attacker has its line."""
    page = (ROOT / "docs/how-to/secure-redis.md").read_text()
    table = [line for line in page.splitlines() if line.startswith("| ")][1:]
    files = sorted((ROOT / "tests/integration/secure").glob("test_*.py"))
    source = "".join(path.read_text() for path in files)
    tests = re.findall(r"^def (test_\w+)", source, re.MULTILINE)
    assert [re.findall(r"`(test_\w+)` \|$", line) for line in table] == [[name] for name in tests]
