"""A server that ends the whole transaction when it has waited for a lock in vain."""

from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

import pytest
from django.db import DatabaseError, OperationalError

from eda_django import Event
from eda_django.models import Attempt, Delivery
from eda_django.relay import Relay
from tests.databases import vendor
from tests.faults.own_database import OWN, known_as_own
from tests.integration.servers import DatabaseServer, MariadbServer
from tests.relaying import Recorder, happen, on_happened
from tests.testapp.models import Effect, Order

pytestmark = [
    pytest.mark.processes,
    pytest.mark.django_db(transaction=True, databases=["default", "own"]),
    pytest.mark.skipif(vendor() != "mariadb", reason="Only InnoDB can be told to."),
]


class RollingBackServer(MariadbServer):
    def command(self) -> list[str]:
        return [*super().command(), "--innodb-rollback-on-timeout=ON"]


@pytest.fixture(scope="module")
def server(django_db_setup: None, django_db_blocker: Any) -> Iterator[DatabaseServer]:
    with known_as_own(RollingBackServer(max_connections=10), django_db_blocker) as server:
        yield server


def test_timeout_of_a_lock_that_is_swallowed_fails_the_attempt(server: DatabaseServer) -> None:
    """G3: what the subscriber wrote before is gone; what it writes after must not stay."""

    def subscriber(seen: Event[Any]) -> None:
        orders, effects = Order.objects.using(OWN), Effect.objects.using(OWN)
        effects.create(subscriber="t.sub", event_id=seen.id, attempt=seen.attempt)
        with suppress(OperationalError):
            orders.select_for_update(nowait=True).get(pk=contended.pk)
        with suppress(DatabaseError):
            orders.create(number="after")

    contended = Order.objects.using(OWN).create(number="contended")
    on_happened(subscriber)
    happen(2, using=OWN)
    transport = Recorder()
    Relay(using=OWN, transport=transport).drain()
    with closing(server.connect()) as other, closing(other.cursor()) as cursor:
        cursor.execute("BEGIN")
        lock = "SELECT id FROM eda_django.testapp_order WHERE id = %s FOR UPDATE"
        cursor.execute(lock, [contended.pk])
        assert transport.work(using=OWN) == 0
    assert set(Delivery.objects.using(OWN).values_list("status", flat=True)) == {"pending"}
    assert Attempt.objects.using(OWN).count() == 2
    assert not Effect.objects.using(OWN).exists()
    assert Order.objects.using(OWN).count() == 1
