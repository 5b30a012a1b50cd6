"""Puts the shop up: its environment, its tables and products, the processes that serve it."""

import io
import os
import time

import django
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import DatabaseError, connection
from redis import Redis
from redis.exceptions import RedisError

from eda_django.exceptions import first_line
from example_project.services import SERVICES

from .errors import DemoError
from .pieces import Command
from .place import Place
from .redis_server import RedisServer, RedisServerError
from .supervisor import Supervisor
from .web_server import WebServer

# Seconds in which the web server must answer.
PATIENCE = 60.0
# Forks no process for each job, which would take longer than these jobs do.
WORKER = "rq.SimpleWorker"
# Seconds after which a worker that says nothing counts as down; RQ's own would be 7 minutes.
WORKER_TTL = "16"
# Why an address is not repeated in what is said about it.
NOT_SHOWN = "(Its value is not shown: it may hold a password.)"
# How many customers the stock is meant for; more of them find more.
CUSTOMERS = 200
# What a wrong DATABASE_URL ends in: a server that refuses, a driver that is not installed, a folder
# that can't be made, a URL that can't be read.
UNUSABLE = (DatabaseError, ImproperlyConfigured, ImportError, OSError, ValueError)


class Shop:
    """The shop in one place, its pieces kept running by a supervisor."""

    def __init__(self, place: Place, supervisor: Supervisor) -> None:
        self.place = place
        self.supervisor = supervisor
        self._web = WebServer(log=place.log("web"))

    @property
    def address(self) -> str:
        """Where the shop is, once it is open."""
        return self._web.address

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
            _require_shared_database()
            call_command("migrate", verbosity=0)
            # Has models, which can be imported only now.
            from .tally import last_event

            since = last_event()
            call_command("load_shop", stock_factor=factor, stdout=io.StringIO())
        except UNUSABLE as error:
            raise DemoError(_database_trouble(error)) from error
        return since

    def open(self) -> None:
        """Start everything and wait until the first page is there."""
        self.supervisor.add(self._web)
        self._add("relay", "relay")
        for service in SERVICES:
            options = ("--worker-class", WORKER, "--worker-ttl", WORKER_TTL)
            self._add(service.name, "rqworker", service.name, *options)
        deadline = time.monotonic() + PATIENCE
        while not self._web.answers():
            if time.monotonic() > deadline:
                raise DemoError(f"The web server does not answer. Its log is {self._web.log}.")
            time.sleep(0.1)

    def _add(self, name: str, *arguments: str) -> None:
        self.supervisor.add(Command(name, *arguments, log=self.place.log(name)))


def _require_redis(url: str) -> None:
    try:
        with Redis.from_url(url, socket_timeout=5.0) as client:
            client.ping()
    except (RedisError, ValueError) as error:
        # What can't be read as a URL may be cut anywhere, in the midst of the password too.
        reason = first_line(error) if isinstance(error, RedisError) else "it is no redis:// URL"
        raise DemoError(
            f"The Redis of REDIS_URL can't be used: {reason}\n"
            f"Set it to one that answers, such as redis://127.0.0.1:6379/0, or leave it out: then "
            f"the demo starts a Redis of its own. {NOT_SHOWN}"
        ) from error


def _require_shared_database() -> None:
    if connection.vendor == "sqlite" and connection.settings_dict["NAME"] == ":memory:":
        raise ImproperlyConfigured("the shop's processes can't share a database in memory")


def _database_trouble(error: BaseException) -> str:
    if not os.environ.get("DATABASE_URL"):
        return f"The SQLite database in the demo's folder can't be used: {first_line(error)}"
    return (
        f"The database of DATABASE_URL can't be used: {first_line(error)}\n"
        f"Set it to one that exists, such as postgresql://user:password@127.0.0.1:5432/shop, "
        f"mysql://… or sqlite:///shop.sqlite3, with @, /, # and the like in the password written "
        f"as %40, %2F, %23. Or leave it out: then the demo uses a SQLite file of its own. "
        f"{NOT_SHOWN}"
    )
