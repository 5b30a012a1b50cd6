"""Servers that behave badly, for what must not care."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from example_project.demo.redis_server import HOST, free_port


class HangingServer:
    """Accepts connections and never says a word; remembers how many there were."""

    def __init__(self) -> None:
        self._listener = socket.create_server((HOST, 0))
        self._accepted: list[socket.socket] = []
        self.called = threading.Event()
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def connections(self) -> int:
        return len(self._accepted)

    def close(self) -> None:
        # Wakes the thread that accepts, which close() alone does not.
        self._listener.shutdown(socket.SHUT_RDWR)
        for connection in (self._listener, *self._accepted):
            connection.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._accepted.append(connection)
            self.called.set()


@contextmanager
def hanging_server() -> Iterator[HangingServer]:
    """Run a HangingServer for as long as the body runs."""
    server = HangingServer()
    try:
        yield server
    finally:
        server.close()


def queue_at(port: int, **options: object) -> dict[str, object]:
    """Return the settings of an RQ queue whose Redis is at this port."""
    return {"HOST": HOST, "PORT": port, "DB": 0, **options}


def closed_port() -> int:
    """Return a port on which nobody listens."""
    return free_port()
