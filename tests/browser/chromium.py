"""The Chromium of this machine."""

import shutil

# First the one without windows, which takes two thirds of the time.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
MISSING = "There is no Chromium on PATH (Debian: apt install chromium)."


def find_chromium() -> str | None:
    return next(filter(None, map(shutil.which, NAMES)), None)
