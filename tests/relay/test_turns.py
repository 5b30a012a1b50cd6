"""What one turn does, and how much of it."""

import pytest
from django.db.models import Model

from eda_django.models import Delivery, OutboxEvent
from eda_django.models.clock import after
from eda_django.registry import registry
from eda_django.relay import Relay
from tests.relay.standing_in import nothing
from tests.relaying import Recorder, Statements, happen, on_happened, relayed

pytestmark = pytest.mark.django_db(transaction=True)


def test_no_more_is_pushed_again_than_a_batch_has() -> None:
    on_happened(nothing)
    relayed(5)
    Delivery.objects.update(status="pending", lease_until=None, token=None, due_at=after(-1))
    relay = Relay(transport=Recorder(), batch_size=2)
    assert [relay.push_due() for _ in range(4)] == [2, 2, 1, 0]


def test_a_relay_that_starts_lets_go_in_its_first_turn_what_older_code_put_aside() -> None:
    """G10: with the next one it is on its way, long before its time."""
    happen(2)
    Relay(transport=Recorder()).turn()
    assert OutboxEvent.objects.set_aside().count() == 2
    on_happened(nothing)
    transport = Recorder()
    relay = Relay(transport=transport)
    relay.turn()
    assert not OutboxEvent.objects.set_aside().exists()
    relay.turn()
    assert len(transport.ids) == 2


def test_what_was_put_aside_since_waits_for_its_time() -> None:
    """To look for it at each turn would be a statement for nothing."""
    relay = Relay(transport=Recorder())
    relay.turn()
    happen()
    relay.turn()
    on_happened(nothing)
    relay.turn()
    assert OutboxEvent.objects.set_aside().count() == 1


@pytest.mark.parametrize("model", [OutboxEvent, Delivery])
def test_what_older_code_put_aside_is_let_go_in_batches(model: type[Model]) -> None:
    """So that no transaction of a relay is longer than a batch."""
    happen(5)
    if model is Delivery:
        on_happened(nothing)
        transport = Recorder()
        Relay(transport=transport).drain()
        registry.remove("t.sub")
        transport.work()
    else:
        Relay(transport=Recorder()).drain()
    on_happened(nothing)
    with Statements() as captured:
        Relay(transport=Recorder(), batch_size=2).retry_known()
    table = model._meta.db_table
    changes = [sql for sql in captured.texts if sql.startswith("UPDATE") and table in sql]
    assert len(changes) == 3
