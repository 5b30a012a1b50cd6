"""G4: a queue that RQ can't build delays what goes through it, and nothing else."""

from typing import Any

import pytest

from eda_django.dispatch.rq_transport import RqTransport
from eda_django.exceptions import TransportUnavailable
from eda_django.models import Delivery
from eda_django.relay import Relay
from tests.dispatch.queues import a_chunk, alive, elsewhere, push
from tests.integration.servers import closed_port
from tests.relaying import happen, lapse_leases, on_happened

WRONG: list[dict[str, Any]] = [
    {"DEFAULT_TIMEOUT": "1 hour"},
    {"DEFAULT_TIMEOUT": ()},
    {"QUEUE_CLASS": "no.such.Queue"},
    {"SERIALIZER": "no.such.Serializer"},
]
UNREADABLE = WRONG[0]


def spoil(settings: Any, *names: str, wrong: dict[str, Any] = UNREADABLE) -> None:
    """Give these queues, or all, a value that RQ takes for an error."""
    spoilt = {name: {**settings.RQ_QUEUES[name], **wrong} for name in names or settings.RQ_QUEUES}
    settings.RQ_QUEUES = {**settings.RQ_QUEUES, **spoilt}


def nothing(seen: Any) -> None:
    return


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("queue", ["slow", "a_first"])
def test_an_outage_ends_beside_it(redis_client: Any, settings: Any, queue: str) -> None:
    """Whether its name comes first or last among those of its server."""
    settings.RQ_QUEUES = {**settings.RQ_QUEUES, "a_first": settings.REDIS}
    spoil(settings, queue)
    on_happened(nothing, name="t.bad", queue=queue)
    on_happened(nothing, name="t.good")
    relay = Relay()
    relay.outage.longer()
    happen()
    relay.turn()
    assert not relay.outage
    assert redis_client.llen("rq:queue:default") == 1
    statuses = dict(Delivery.objects.values_list("subscriber", "status"))
    assert statuses == {"t.good": "queued", "t.bad": "pending"}


@pytest.mark.django_db(transaction=True)
def test_what_waits_in_it_ends_no_turn(redis_client: Any, settings: Any) -> None:
    """What waits there stays, and what was lost in another queue goes again."""
    on_happened(nothing, name="t.bad", queue="slow")
    on_happened(nothing, name="t.good")
    happen()
    Relay().turn()
    before = set(Delivery.objects.filter(subscriber="t.bad").values_list("token", "status"))
    spoil(settings, "slow")
    redis_client.delete("rq:queue:default")
    lapse_leases()
    relay = Relay()
    relay.turn()
    relay.turn()
    assert not relay.outage
    assert redis_client.llen("rq:queue:default") == 1
    after = Delivery.objects.filter(subscriber="t.bad").values_list("token", "status")
    assert set(after) == before


@pytest.mark.parametrize("wrong", WRONG)
def test_its_claims_count_as_alive_and_hide_no_other(
    redis_client: Any, settings: Any, caplog: pytest.LogCaptureFixture, wrong: dict[str, Any]
) -> None:
    stuck, fine, gone = a_chunk("slow"), a_chunk(), a_chunk()
    push(stuck, fine)
    spoil(settings, "slow", wrong=wrong)
    assert alive(stuck, fine, gone) == {stuck.token, fine.token}
    assert "can't ask queue=slow: " in caplog.text
    assert alive(stuck) == {stuck.token}


@pytest.mark.parametrize("wrong", WRONG)
def test_it_is_refused_and_others_go(
    redis_client: Any, settings: Any, wrong: dict[str, Any]
) -> None:
    stuck, fine = a_chunk("slow"), a_chunk()
    spoil(settings, "slow", wrong=wrong)
    assert list(push(stuck, fine)) == [stuck.token]
    assert list(push(stuck)) == [stuck.token]


def test_where_none_can_be_used_it_is_said_why(redis_client: Any, settings: Any) -> None:
    """A Redis that answers is no use then; the relay says it once, and pauses."""
    on_happened(nothing, queue="slow")
    spoil(settings)
    chunk = a_chunk("slow")
    for ask in (RqTransport().check, lambda: push(chunk), lambda: alive(chunk)):
        with pytest.raises(
            TransportUnavailable, match="^queue '.+' can't be used: TimeoutFormatError: "
        ):
            ask()


def test_a_redis_that_is_away_is_what_is_said_first(settings: Any) -> None:
    """Also when the queue that can't be built was to be pushed to as well."""
    spoil(settings, "slow")
    chunks = a_chunk("slow"), a_chunk("default")
    with elsewhere(settings, *(set(settings.RQ_QUEUES) - {"slow"}), port=closed_port()):
        for ask in (RqTransport().check, lambda: push(*chunks), lambda: alive(*chunks)):
            with pytest.raises(TransportUnavailable, match="Error 111 connecting"):
                ask()
