"""A virtual environment for each peer, made once and kept in a folder."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from benchmarks.measure import Absent
from benchmarks.peers.catalogue import COMMON, Peer

FOLDER = Path(".peers")
NEWER = ("python3.12", "python3.13", "python3.14")


def python(peer: Peer) -> Path:
    """Return the Python of the peer's environment; make it if it isn't there, or is another's."""
    base = interpreter(peer)
    folder = FOLDER / peer.site
    made, wanted = folder / "made.json", _recipe(peer, base)
    if not made.exists() or made.read_text() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        _run("make the environment", base, "-m", "venv", str(folder))
        _install(folder, peer)
        made.write_text(wanted)
    return (folder / "bin" / "python").absolute()


def interpreter(peer: Peer) -> str:
    """Return a Python that the peer can have: this one, if possible."""
    for candidate in _interpreters():
        if _version(candidate) >= peer.python:
            return candidate
    wanted = ".".join(str(part) for part in peer.python)
    raise Absent(f"needs Python {wanted}; BENCH_PEERS_PYTHON can name one")


def _interpreters() -> Iterator[str]:
    yield sys.executable
    yield from filter(None, map(shutil.which, [os.environ.get("BENCH_PEERS_PYTHON", ""), *NEWER]))


def _version(interpreter: str) -> tuple[int, ...]:
    """Return its version; nothing if it doesn't run."""
    if interpreter == sys.executable:
        return sys.version_info[:2]
    code = "import sys; print(*sys.version_info[:2])"
    answer = subprocess.run([interpreter, "-c", code], capture_output=True, text=True, check=False)
    return tuple(int(part) for part in answer.stdout.split()) if answer.returncode == 0 else ()


def _recipe(peer: Peer, base: str) -> str:
    """Return what must be as it was, for the environment to serve again."""
    requirements = [*peer.requirements, *COMMON]
    # Of two environments that share a Python, either can make it.
    python = os.path.realpath(base)
    return json.dumps({"python": python, "django": version("django"), "install": requirements})


def _install(folder: Path, peer: Peer) -> None:
    """Install with the Django that the library runs on; if the peer can't have it, with its own."""
    pip = (str(folder / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check")
    words = [*peer.requirements, *COMMON]
    try:
        _run("install", *pip, f"django=={version('django')}", *words)
    except Absent:
        _run("install", *pip, "django", *words)


def _run(what: str, *command: str) -> None:
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise Absent(f"can't {what}: {reason(answer.stderr)}")


def reason(said: str) -> str:
    """Return the last thing that says what is wrong, of what a command printed."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    return (errors or lines or ["it didn't say why"])[-1]
