"""What tests leave to chance is the same for the same seed, and something else for another."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.processes import ROOT

pytestmark = [pytest.mark.once, pytest.mark.processes]

# Of all plugins those that draw: to load the others takes longer than the tests.
PLUGINS = ("_hypothesis_pytestplugin", "pytest_randomly", "tests.seeds")
DRAWING = """
import random
from hypothesis import given, strategies as st

@given(st.integers(), st.text())
def test_of_hypothesis(number, text):
    print("drawn", number, ascii(text))

def test_of_pythons_own():
    print("drawn", random.random())

def test_in_any_order():
    print("drawn nothing")
"""


@pytest.fixture
def tests(tmp_path: Path) -> Path:
    # A configuration of their own: they need no Django.
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    path = tmp_path / "test_drawing.py"
    path.write_text(DRAWING)
    return path


def start(tests: Path, seed: str | None) -> "subprocess.Popen[str]":
    """Run these tests with the suite's plugin for seeds."""
    ours = ("EDA_TEST_SEED", "DJANGO_SETTINGS_MODULE", "PYTEST_ADDOPTS")
    environment = {name: text for name, text in os.environ.items() if name not in ours}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    if seed is not None:
        environment["EDA_TEST_SEED"] = seed
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "-s", *(f"-p{name}" for name in PLUGINS), str(tests)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def said(process: "subprocess.Popen[str]") -> tuple[str, list[str]]:
    """Return the seed in the header, and all that was drawn, in its order."""
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    (seed,) = re.findall(r"^seed: (\d+), from EDA_TEST_SEED$", output, re.MULTILINE)
    return seed, re.findall(r"drawn .*", output)


def test_one_seed_draws_one_run_and_another_seed_another(tests: Path) -> None:
    first, again, other, unset = map(said, [start(tests, s) for s in ("7", "7", "8", None)])
    assert (first[0], other[0], unset[0]) == ("7", "8", "1")
    assert len(first[1]) > 50
    assert first == again
    assert first[1] != other[1]
    # Of Python's own, too, and not only by another order.
    assert set(first[1]) & set(other[1]) <= {"drawn nothing", "drawn 0 ''"}
    assert unset[1] != first[1]
