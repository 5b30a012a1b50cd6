"""Servers that behave badly, for what must not care; and databases that a test may crash."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar

import pytest

from example_project.demo.redis_server import HOST, free_port
from tests.waiting import eventually


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


class SlowRoad:
    """Stands before a server, and lets everything pass after `delay` seconds, either way."""

    def __init__(self, port: int, *, delay: float) -> None:
        self._to, self._delay = port, delay
        self._listener = socket.create_server((HOST, 0))
        self._ends: list[socket.socket] = []
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for end in (self._listener, *self._ends):
            end.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
                far = socket.create_connection((HOST, self._to))
            except OSError:
                return
            self._ends += (near, far)
            for ends in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=ends, daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65_536):
                time.sleep(self._delay)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return


@contextmanager
def slow_road(port: int, *, delay: float) -> Iterator[SlowRoad]:
    """Run a SlowRoad for as long as the body runs."""
    road = SlowRoad(port, delay=delay)
    try:
        yield road
    finally:
        road.close()


def queue_at(port: int, **options: object) -> dict[str, object]:
    """Return the settings of an RQ queue whose Redis is at this port."""
    return {"HOST": HOST, "PORT": port, "DB": 0, **options}


def closed_port() -> int:
    """Return a port on which nobody listens."""
    return free_port()


class DatabaseServer:
    """A database server of the test's own, in a folder of its own; nobody else's is touched."""

    # The one that may run the server, where that may not be root.
    owner: ClassVar[str]
    superuser: ClassVar[str]
    encoding: ClassVar[str]
    crash_signal: ClassVar[signal.Signals]

    def __init__(self, *, max_connections: int) -> None:
        self.port = free_port()
        self.max_connections = max_connections
        self.folder = Path(tempfile.mkdtemp(prefix="eda_django_"))
        self._as: dict[str, Any] = {"cwd": self.folder}
        if os.geteuid() == 0:
            self._as |= {"user": self.owner, "group": self.owner, "extra_groups": []}
            shutil.chown(self.folder, self.owner, self.owner)
        self._process: subprocess.Popen[bytes] | None = None

    def create(self) -> None:
        """Make the files of an empty server."""
        words = self.creation()
        done = subprocess.run(words, capture_output=True, text=True, check=False, **self._as)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._as,
            )
        eventually(self._answers)

    def create_database(self, name: str) -> None:
        with closing(self.connect()) as connection, closing(connection.cursor()) as cursor:
            cursor.execute(f"CREATE DATABASE {name} {self.encoding}")

    def crash(self) -> None:
        """End it without a word to its clients; what was committed is on the disk."""
        assert self._process
        self._process.send_signal(self.crash_signal)
        self._process.wait()

    def remove(self) -> None:
        if self._process and self._process.poll() is None:
            self.crash()
        shutil.rmtree(self.folder, ignore_errors=True)

    def creation(self) -> list[str]:
        raise NotImplementedError

    def command(self) -> list[str]:
        raise NotImplementedError

    def connect(self) -> Any:
        """Open a connection with the driver alone; raises what that raises."""
        raise NotImplementedError

    def _answers(self) -> bool:
        process = self._process
        assert process
        if process.poll() is not None:
            pytest.fail((self.folder / "log").read_text(errors="replace"))
        with suppress(Exception):
            self.connect().close()
            return True
        return False

    def _program(self, name: str) -> str:
        folders = [str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin"))[::-1]]
        path = os.pathsep.join([*folders, os.environ.get("PATH", ""), "/usr/sbin"])
        found = shutil.which(name, path=path)
        assert found, f"{name!r} is neither on PATH nor in {folders}."
        return found


class PostgresqlServer(DatabaseServer):
    owner = superuser = "postgres"
    encoding = "ENCODING 'UTF8'"
    # Its own word for an end without a checkpoint.
    crash_signal = signal.SIGQUIT

    def creation(self) -> list[str]:
        words = ["-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]
        return [self._program("initdb"), *words]

    def command(self) -> list[str]:
        options = {
            "port": self.port,
            "listen_addresses": HOST,
            "unix_socket_directories": "",
            "max_connections": self.max_connections,
            # A crash of the server loses nothing that the system has taken.
            "fsync": "off",
        }
        words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        return [self._program("postgres"), "-D", "data", *words]

    def connect(self) -> Any:
        import psycopg

        return psycopg.connect(
            host=HOST, port=self.port, user=self.superuser, dbname="postgres", autocommit=True
        )


class MariadbServer(DatabaseServer):
    owner, superuser = "mysql", "root"
    encoding = "CHARACTER SET utf8mb4"
    crash_signal = signal.SIGKILL

    def creation(self) -> list[str]:
        words = ["--auth-root-authentication-method=normal", "--skip-test-db"]
        datadir = f"--datadir={self.folder / 'data'}"
        return [self._program("mariadb-install-db"), "--no-defaults", datadir, *words]

    def command(self) -> list[str]:
        data = self.folder / "data"
        words = [f"--datadir={data}", f"--port={self.port}", f"--bind-address={HOST}"]
        words += [f"--socket={self.folder / 'socket'}", f"--max-connections={self.max_connections}"]
        # A crash of the server loses nothing that the system has taken.
        words += ["--innodb-flush-log-at-trx-commit=2", "--innodb-buffer-pool-size=32M"]
        return [self._program("mariadbd"), "--no-defaults", *words]

    def connect(self) -> Any:
        from example_project.mysql import driver_options

        options = driver_options(HOST)
        import MySQLdb

        return MySQLdb.connect(host=HOST, port=self.port, user=self.superuser, **options)


SERVERS: dict[str, type[DatabaseServer]] = {
    "postgresql": PostgresqlServer,
    "mariadb": MariadbServer,
}
