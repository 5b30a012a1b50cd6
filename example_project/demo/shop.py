"""Puts the shop up: its environment, its tables and products, the processes that serve it."""

import io
import os
import time
from urllib.error import URLError

import django
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import DatabaseError
from redis import Redis
from redis.exceptions import RedisError

from example_project.services import SERVICES

from .errors import DemoError
from .pages import Browser
from .pieces import Command
from .place import Place
from .redis_server import HOST, RedisServer, RedisServerError, free_port
from .supervisor import Supervisor
from .switches import VARIABLE

# Seconds in which the web server must answer.
PATIENCE = 60.0
# How many customers the stock is meant for; more of them find more.
CUSTOMERS = 200


class Shop:
    """The shop in one place, its pieces kept running by a supervisor."""

    def __init__(self, place: Place, supervisor: Supervisor) -> None:
        self.place = place
        self.supervisor = supervisor
        self.address = f"http://{HOST}:{free_port()}/"

    def provide_redis(self) -> str:
        """Find the Redis that is to be used, or start one; return its URL."""
        if url := os.environ.get("REDIS_URL"):
            _require_redis(url)
            return url
        server = RedisServer(self.place.redis)
        try:
            self.supervisor.add(server)
        except RedisServerError as error:
            raise DemoError(str(error)) from error
        return server.url

    def set_environment(self, *, redis_url: str) -> None:
        """Tell the settings, here and in every piece, where everything is."""
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "example_project.settings",
            "DEMO_DIR": str(self.place.folder),
            "REDIS_URL": redis_url,
            VARIABLE: str(self.place.switches),
        }

    def load(self, *, customers: int) -> int:
        """Make the tables and fill the shelves; return the last event before this run's."""
        factor = max(1.0, customers / CUSTOMERS)
        try:
            django.setup()
            call_command("migrate", verbosity=0)
            # Has models, which can be imported only now.
            from .tally import last_event

            since = last_event()
            call_command("load_shop", stock_factor=factor, stdout=io.StringIO())
        except (DatabaseError, ImproperlyConfigured, ValueError) as error:
            raise DemoError(f"The database can't be used: {error}") from error
        return since

    def open(self) -> None:
        """Start everything and wait until the first page is there."""
        port = self.address.rstrip("/").rpartition(":")[2]
        self._add("web", "runserver", "--noreload", "--insecure", f"{HOST}:{port}")
        self._add("relay", "relay")
        for service in SERVICES:
            self._add(service.name, "rqworker", service.name)
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            if time.monotonic() > deadline:
                log = self.place.log("web")
                raise DemoError(f"The web server does not answer. Its log is {log}.")
            time.sleep(0.1)
        self.place.announce(self.address)

    def _add(self, name: str, *arguments: str) -> None:
        self.supervisor.add(Command(name, *arguments, log=self.place.log(name)))

    def _answers(self) -> bool:
        try:
            Browser(self.address).get("/")
        except (URLError, OSError):
            return False
        return True


def _require_redis(url: str) -> None:
    try:
        with Redis.from_url(url, socket_timeout=5.0) as client:
            client.ping()
    except (RedisError, ValueError) as error:
        raise DemoError(f"There is no Redis at REDIS_URL={url!r}: {error}") from error
