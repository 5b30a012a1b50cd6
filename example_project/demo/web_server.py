"""The shop's web server, on a port that nobody else has."""

from collections.abc import Callable
from contextlib import closing
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from example_project.process import HEADER

from .pieces import Command
from .redis_server import HOST, free_port

# Seconds; whoever has taken the port may say nothing at all.
PATIENCE = 10.0


class WebServer(Command):
    """`runserver`, on another free port at each start until it has answered, then on that one."""

    def __init__(self, *, log: Path) -> None:
        super().__init__("web", log=log)
        self.port = 0
        self._has_answered = False

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.port}/"

    def start(self, *, on_fork: Callable[[int], None] = lambda pid: None) -> None:
        # Somebody may take a free port before this server does.
        if not self._has_answered:
            self.port = free_port()
        self.arguments = ("runserver", "--noreload", "--insecure", f"{HOST}:{self.port}")
        super().start(on_fork=on_fork)

    def answers(self) -> bool:
        """Ask for the first page; on a port that was taken, it is somebody else who answers."""
        with closing(HTTPConnection(HOST, self.port, timeout=PATIENCE)) as connection:
            try:
                connection.request("GET", "/")
                answer = connection.getresponse()
            except (OSError, HTTPException):
                return False
        is_ours = answer.getheader(HEADER) == str(self.pid) and answer.status == HTTPStatus.OK
        self._has_answered |= is_ours
        return is_ours
