"""What make removes, and how it hands on what it is given."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(not shutil.which("make"), reason="There is no make here."),
]

ELSEWHERE = {name: f"/home/me/{name.lower()}" for name in ("FOLDER", "SOAK", "VENV", "PICTURES")}
# Of a make that runs the tests, and of whoever runs that.
UNWANTED = {*ELSEWHERE, "MAKEFLAGS", "MAKELEVEL", "MFLAGS"}
# Folders and files beside the Makefile, and patterns of files: all that may ever be removed.
MADE = {".venv", ".demo", ".soak", ".peers", "mutants", "build", "dist", "htmlcov"}
MADE |= {f".{tool}_cache" for tool in ("mypy", "ruff", "pytest", "import_linter")}
MADE |= {"*.egg-info", ".coverage", ".coverage.*"}


def make(*arguments: str, **variables: str) -> str:
    """Run make where the Makefile is; `variables` are of the environment."""
    inherited = {name: value for name, value in os.environ.items() if name not in UNWANTED}
    run = subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=ROOT,
        env=inherited | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout


def test_make_clean_removes_what_stands_beside_the_makefile_whatever_is_set() -> None:
    words = make("--dry-run", "clean", **ELSEWHERE).replace("\\\n", " ").split()
    assert words[:2] == ["rm", "-rf"]
    assert set(words[2:]) == MADE
    given = [f"{name}={value}" for name, value in ELSEWHERE.items()]
    assert make("--dry-run", "clean", *given).replace("\\\n", " ").split() == words


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """Return a virtual environment whose Python says its last argument."""
    folder = tmp_path / "venv"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").write_text('#!/bin/sh\nfor last; do :; done; echo "$last"\n')
    for name in ("bin/python", "bin/pip", ".has-demo", ".has-test"):
        (folder / name).touch()
        (folder / name).chmod(0o755)
    return folder


@pytest.mark.parametrize(("target", "variable"), [("demo", "FOLDER"), ("soak", "SOAK")])
@pytest.mark.parametrize("folder", ["my folder", "it's #1; $HOME", "plain"])
def test_make_takes_any_folder(environment: Path, target: str, variable: str, folder: str) -> None:
    assert make(target, f"VENV={environment}", **{variable: folder}) == f"--folder={folder}\n"


def test_make_has_a_folder_if_none_is_given(environment: Path) -> None:
    assert make("demo", f"VENV={environment}") == "--folder=.demo\n"
    assert make("soak", f"VENV={environment}") == "--folder=.soak\n"
