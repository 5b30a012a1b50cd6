"""Which state of the code a measurement is of."""

import subprocess
from pathlib import Path

HERE = Path(__file__).parent


def commit() -> str:
    """Return the commit, and whether anything was changed since; "" without git."""
    words = ("git", "describe", "--always", "--exclude=*", "--dirty")
    try:
        done = subprocess.run(words, cwd=HERE, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip()
