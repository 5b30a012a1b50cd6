"""A database server that crashes and comes back, or has no connection left to give.

The server is the tests' own. SQLite has none: what stands in its place, a file that is locked, is
in test_connections_break.py, and so are connections that end while the server lives.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connections

from tests.databases import vendor
from tests.faults import outcome
from tests.faults.children import Children
from tests.faults.own_database import OWN, known_as_own
from tests.faults.planting import Fate
from tests.faults.points import LOST
from tests.integration.servers import SERVERS, DatabaseServer
from tests.relaying import end_other_connections
from tests.waiting import eventually

pytestmark = [
    pytest.mark.processes,
    pytest.mark.django_db(transaction=True, databases=["default", "own"]),
    pytest.mark.skipif(vendor() == "sqlite", reason="SQLite has no server that could go away."),
]

KIND = "faults.happened"
EVENTS = 9
# They go in three chunks for each of the two subscribers.
CHUNKS = 6


@pytest.fixture(scope="module")
def running(django_db_setup: None, django_db_blocker: Any) -> Iterator[DatabaseServer]:
    """Run a server with the library's tables, known to Django by the alias OWN."""
    with known_as_own(SERVERS[vendor()](max_connections=10), django_db_blocker) as server:
        yield server


@pytest.fixture
def server(running: DatabaseServer, children: Children) -> Iterator[DatabaseServer]:
    """Have children use the server, which is emptied like any database of a test."""
    names = ("HOST", "PORT", "USER", "PASSWORD", "NAME", "OPTIONS")
    children.world["database"] = {name: connections.settings[OWN][name] for name in names}
    yield running
    children.end()


def publish(children: Children) -> int:
    """Publish events; return the publisher's exit code."""
    return children.publish(KIND, *[""] * EVENTS).ends()


def test_database_that_crashes_and_comes_back_has_lost_and_doubled_nothing(
    children: Children, server: DatabaseServer
) -> None:
    """G1, G2, G3: under a publisher, a relay and a worker that are all in mid-transaction."""
    children.lease = 3.0
    assert publish(children) == 0
    worker = children.worker(*outcome.QUEUES, at="after write #3", fate=Fate.FROST)
    relay = children.relay(at="after mark_relayed #2, before COMMIT", fate=Fate.FROST)
    worker.breaks()
    publisher = children.publish(
        KIND, *[""] * EVENTS, at=f"after publish #{EVENTS}, before COMMIT", fate=Fate.FROST
    )
    publisher.breaks()
    assert publish(children) == 0
    relay.breaks()
    connections[OWN].close()
    server.crash()
    for child in (publisher, relay, worker):
        child.thaw()
    assert publisher.ends() == 1
    assert publish(children) == 1
    relay.says("relay has lost its database")
    eventually(lambda: "consumer broke off" in worker.text)
    server.start()
    relay.says("relay works again")
    assert publish(children) == 0
    # What the worker had begun when there was nobody to tell. What it did not begin burns nothing.
    outcome.come_to_rest(KIND, 3 * EVENTS, using=OWN)
    left = outcome.jobs_that_failed()
    assert left
    outcome.check(KIND, 3 * EVENTS, failed={2: LOST}, left=left, using=OWN)
    assert "Traceback" not in relay.text


def test_database_without_a_connection_left_is_waited_for(
    children: Children, server: DatabaseServer
) -> None:
    """G1, G2: what is not let in does nothing, and nothing by halves."""
    assert publish(children) == 0
    relay = children.relay()
    eventually(lambda: outcome.jobs_left() == {"queue": CHUNKS})
    relay.signal(signal.SIGSTOP)
    end_other_connections(using=OWN)
    with all_connections(server):
        relay.signal(signal.SIGCONT)
        relay.says("relay has lost its database")
        second = children.relay()
        assert second.ends() == 1
        assert "Database 'default' can't be reached" in second.text
        assert publish(children) == 1
        children.worker(*outcome.QUEUES)
        # It is offered every job, and can begin nothing of any. RQ shows each as failed for a day.
        eventually(lambda: outcome.jobs_left() == {"failed": CHUNKS})
    relay.says("relay works again")
    assert publish(children) == 0
    outcome.lapse_queued(using=OWN)
    # What goes again goes in other jobs, of which none fails.
    outcome.check(KIND, 2 * EVENTS, left={"failed": CHUNKS}, using=OWN)
    assert "Traceback" not in relay.text


@contextmanager
def all_connections(server: DatabaseServer) -> Iterator[None]:
    """Take every connection that the server has to give."""
    taken: list[Any] = []

    def take() -> None:
        for _ in range(server.max_connections + 2):
            taken.append(server.connect())

    try:
        with pytest.raises(Exception, match="(?i)too many (clients|connections)"):
            take()
        yield
    finally:
        for one in taken:
            one.close()
