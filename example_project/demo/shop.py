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

# Seconds in which the web server must answer.
PATIENCE = 60.0
# Forks no process for each job, which would take longer than these jobs do.
WORKER = "rq.SimpleWorker"
# Seconds after which a worker that says nothing counts as down; RQ's own would be 7 minutes.
WORKER_TTL = "16"
# How many customers the stock is meant for; more of them find more.
CUSTOMERS = 200


class Shop:
    """The shop in one place, its pieces kept running by a supervisor."""

    def __init__(self, place: Place, supervisor: Supervisor) -> None:
        self.place = place
        self.supervisor = supervisor
        self.address = f"http://{HOST}:{free_port()}/"

    def provide_redis(self) -> None:
        """Use the Redis of REDIS_URL; if none is given, start one and set REDIS_URL to it."""
        if url := os.environ.get("REDIS_URL"):
            _require_redis(url)
            return
        server = RedisServer(self.place.redis)
        try:
            self.supervisor.add(server)
        except RedisServerError as error:
            raise DemoError(str(error)) from error
        os.environ["REDIS_URL"] = server.url

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
            options = ("--worker-class", WORKER, "--worker-ttl", WORKER_TTL)
            self._add(service.name, "rqworker", service.name, *options)
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
