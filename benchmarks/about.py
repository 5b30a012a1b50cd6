"""What a run was asked for, when, and on which code; known before the first measure."""

import os
import subprocess
from dataclasses import asdict, fields
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.measure import Size

UNKNOWN = "unknown"


def about(size: Size, *, rounds: int) -> dict[str, Any]:
    """Return what the report's head and its JSON tell of a run that begins now."""
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC",
        "commit": commit(library()),
        "ready": ready(),
        "rounds": rounds,
        "trial": bool(size.trial),
        "size": asdict(size),
    }


def lines(about: dict[str, Any]) -> list[str]:
    """Return the head's lines, a fact each."""
    trial = ["a trial: the figures mean nothing"] if about["trial"] else []
    return [
        *trial,
        f"date: {about['date']}",
        f"commit: {about['commit']}",
        f"ready to run at the start: {about['ready']}",
        f"rounds: {about['rounds']}",
        f"size: {_differing(about['size']) or 'the default'}",
    ]


def _differing(size: dict[str, Any]) -> str:
    values = {field.name: size[field.name] for field in fields(Size)}
    return ", ".join(
        f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in values.items()
        if value != getattr(Size(), name)
    )


def ready() -> str:
    """Return how many processes ran or could have run, on average of the last minute."""
    try:
        return f"{os.getloadavg()[0]:.2f} processes"
    except OSError:
        return UNKNOWN


def library() -> Path:
    """Return the folder of the library that is measured, without importing it."""
    spec = find_spec("eda_django")
    if spec is None or spec.origin is None:
        raise RuntimeError("There is no eda_django to measure.")
    return Path(spec.origin).parent


def commit(folder: Path) -> str:
    """Return the commit that this package is checked out from; "+changes" if it isn't quite that.

    A package that is installed somewhere below another checkout is not that checkout's.
    """
    if not _git(folder, "ls-files", "__init__.py"):
        return UNKNOWN
    found = _git(folder, "rev-parse", "--short=12", "HEAD")
    if not found:
        return UNKNOWN
    return f"{found}+changes" if _git(folder, "status", "--porcelain") else found


def _git(folder: Path, *words: str) -> str:
    """Return what git says; nothing if there is no git, or no checkout."""
    # Without the lock: somebody else may work in the checkout meanwhile.
    command = ["git", "--no-optional-locks", "-C", str(folder), *words]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""
