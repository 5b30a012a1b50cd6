"""The demo's web server: its port, and who answers there."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import inf
from pathlib import Path

import pytest

from example_project.demo import web_server
from example_project.demo.redis_server import HOST, free_port
from example_project.demo.supervisor import Supervisor
from example_project.demo.switches import Switches
from example_project.demo.web_server import WebServer
from example_project.process import HEADER
from tests.waiting import eventually

pytestmark = [pytest.mark.processes, pytest.mark.once]


class Stranger(BaseHTTPRequestHandler):
    """Answers any page, as somebody's server might, and says its process."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header(HEADER, str(os.getpid()))
        self.end_headers()
        self.wfile.write(b"This is a shop.")

    def log_message(self, *words: object) -> None:
        """Say nothing."""


@pytest.fixture
def taken() -> Iterator[int]:
    """Return a port that a stranger has."""
    with ThreadingHTTPServer((HOST, 0), Stranger) as server:
        threading.Thread(target=server.serve_forever).start()
        yield server.server_port
        server.shutdown()


@contextmanager
def kept_up(web: WebServer, folder: Path) -> Iterator[list[str]]:
    """Have a supervisor keep the web server up; yield what it says."""
    said: list[str] = []
    # However long a busy machine takes to start the server: it fails at once.
    with Supervisor(switches=Switches(folder), say=said.append, young=inf) as supervisor:
        supervisor.add(web)
        yield said


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WebServer:
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "example_project.settings")
    monkeypatch.setenv("DEMO_DIR", str(tmp_path))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    return WebServer(log=tmp_path / "web.log")


def test_a_port_that_was_taken_meanwhile_is_left_for_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, web: WebServer, taken: int
) -> None:
    ports = [taken]
    monkeypatch.setattr(web_server, "free_port", lambda: ports.pop() if ports else free_port())
    with kept_up(web, tmp_path) as said:
        assert web.port == taken
        assert not web.answers()
        eventually(lambda: web.port != taken, "another port")
    assert "port is already in use" in said[0]


def test_the_page_of_a_stranger_is_not_taken_for_the_shop(
    monkeypatch: pytest.MonkeyPatch, web: WebServer, taken: int
) -> None:
    monkeypatch.setattr(web, "port", taken)
    monkeypatch.setattr(WebServer, "pid", os.getpid() + 1)
    assert not web.answers()


def test_the_port_stays_once_the_shop_has_answered_there(
    monkeypatch: pytest.MonkeyPatch, web: WebServer, taken: int
) -> None:
    monkeypatch.setattr(web, "port", taken)
    with monkeypatch.context() as patch:
        patch.setattr(WebServer, "pid", os.getpid())
        assert web.answers()
    web.start()
    web.stop()
    assert web.port == taken
    assert web.arguments[-1] == f"{HOST}:{taken}"


@pytest.mark.parametrize("words", [b"", b"220 mail.example.com ESMTP\r\n"])
def test_who_speaks_no_http_is_not_the_shop(web: WebServer, words: bytes) -> None:
    def speak() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(words)
            connection.recv(1000)

    with socket.create_server((HOST, 0)) as listener:
        speaker = threading.Thread(target=speak)
        speaker.start()
        web.port = listener.getsockname()[1]
        assert not web.answers()
        speaker.join()
