"""Which services are meant to run: set by the shop's pages, obeyed by the demo's supervisor."""

import os
import re
from pathlib import Path

VARIABLE = "DEMO_CONTROL_DIR"


class Switches:
    """One switch a service, kept as files: a service is on unless its file says otherwise."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def is_on(self, service: str) -> bool:
        return not self._file(service).exists()

    def turn(self, service: str, *, on: bool) -> None:
        """Ask for a service's worker to be started or stopped; the supervisor does it, soon."""
        if on:
            self._file(service).unlink(missing_ok=True)
        else:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._file(service).touch()

    def _file(self, service: str) -> Path:
        # The name may come from an URL, and must not lead out of the folder.
        if not re.fullmatch(r"[a-z][a-z0-9_-]*", service):
            raise ValueError(f"{service!r} can't be the name of a service.")
        return self.folder / f"{service}.off"


def switches() -> Switches | None:
    """Return the switches of the demo that this process belongs to, None outside one."""
    folder = os.environ.get(VARIABLE)
    return Switches(Path(folder)) if folder else None
