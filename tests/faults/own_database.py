"""A database server of the tests' own, with the library's tables."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management import call_command
from django.db import connections

from example_project.demo.redis_server import HOST
from tests.databases import vendor
from tests.integration.servers import DatabaseServer

OWN = "own"


@contextmanager
def known_as_own(server: DatabaseServer, blocker: Any) -> Iterator[DatabaseServer]:
    """Run a server for as long as the body runs, known to Django by the alias OWN."""
    try:
        server.create()
        server.start()
        server.create_database("eda_django")
        connections.settings[OWN] = {
            **connections.settings["default"],
            "HOST": HOST,
            "PORT": server.port,
            "USER": server.superuser,
            "PASSWORD": "",
            "NAME": "eda_django",
        }
        if vendor() == "postgresql":
            # Those of the suite say that a commit may be lost.
            connections.settings[OWN]["OPTIONS"] = {}
        with blocker.unblock():
            for app in ("eda_django", "testapp"):
                call_command("migrate", app, database=OWN, verbosity=0)
            connections[OWN].close()
        yield server
    finally:
        server.remove()
        if OWN in connections.settings:
            connections[OWN].close()
            del connections[OWN], connections.settings[OWN]
