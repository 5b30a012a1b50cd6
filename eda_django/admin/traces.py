"""Tracebacks as operators read them: with files as they are imported, not as they are installed."""

import os
import re
import sys
from functools import lru_cache

_FILE = re.compile(r'^([ |+-]*File ")([^"\n]+)(", line \d+)', re.MULTILINE)
# Where a worker has its packages, if that is elsewhere than here.
_PACKAGES = re.compile(r".*/(?:site|dist)-packages/")


def shortened(trace: str) -> str:
    """Return the traceback with the paths of its files from the place that Python imports from."""
    return _FILE.sub(lambda found: f"{found[1]}{_short(found[2])}{found[3]}", trace)


@lru_cache(maxsize=4096)
def _short(path: str) -> str:
    roots = [os.path.join(root or os.getcwd(), "") for root in sys.path]
    longest = max((root for root in roots if path.startswith(root)), key=len, default="")
    return path[len(longest) :] if longest else _PACKAGES.sub("", path)
