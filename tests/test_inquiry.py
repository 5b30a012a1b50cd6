"""Asking what became of claims that no worker has started: in rounds, and without writing."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import uuid4

import pytest
from django.db import connection, connections, transaction

from eda_django.chunks import Chunk
from eda_django.models import Delivery
from eda_django.models.clock import after
from eda_django.recovery import READS, Inquiry
from eda_django.registry import registry
from eda_django.relay import Relay
from tests.relaying import (
    Recorder,
    Statements,
    happen,
    lapse_leases,
    on_happened,
    relayed,
    row_locks,
    statuses,
    write,
)

LEASE = 30.0


class Clock:
    """A clock that goes on when the test says so."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def waiting(count: int) -> Recorder:
    """Let deliveries wait in their queue for longer than their lease."""
    on_happened(write)
    transport = relayed(count)
    lapse_leases()
    return transport


def lapse_at(chunk: Chunk, moment: str) -> None:
    with connection.cursor() as cursor:
        # As the database's own clock writes it on SQLite: with a fraction, whatever it is.
        cursor.execute(
            "UPDATE eda_django_delivery SET lease_until = %s WHERE token = %s",
            [moment, chunk.token if connection.vendor == "postgresql" else chunk.token.hex],
        )


@pytest.mark.django_db
def test_queue_that_no_worker_serves_is_not_written_to() -> None:
    """G7: however long it waits, and however often it is asked about."""
    transport, clock = waiting(30), Clock()
    before = list(Delivery.objects.order_by("pk").values())
    relay = Relay(transport=transport, clock=clock, batch_size=1)
    with Statements() as statements:
        for _ in range(5):
            while relay.poll() == 0.0:
                pass
            clock.now += LEASE
    assert [sql for sql in statements.texts if not sql.lstrip().startswith("SELECT")] == []
    assert list(Delivery.objects.order_by("pk").values()) == before
    tokens = {chunk.token for chunk in transport.chunks}
    assert set().union(*transport.asked) == tokens
    # Of each row once in a lease, whatever page its chunk was on.
    assert 5 * len(tokens) <= sum(map(len, transport.asked)) <= 5 * (len(tokens) + 30 // READS)


@pytest.mark.django_db
def test_what_is_lost_while_it_waits_is_found_within_a_lease() -> None:
    """G2: also after many leases."""
    transport, clock = waiting(3), Clock()
    relay = Relay(transport=transport, clock=clock)
    for _ in range(10):
        relay.turn()
        clock.now += LEASE
    relay.turn()
    transport.lost.update(chunk.token for chunk in transport.chunks)
    pushed = len(transport.chunks)
    clock.now += LEASE - 0.1
    relay.turn()
    assert len(transport.chunks) == pushed
    clock.now += 0.1
    relay.turn()
    relay.turn()
    assert sorted(transport.ids[3:]) == sorted(transport.ids[:3])


@pytest.mark.django_db
def test_relay_that_never_rests_finds_what_is_lost_while_it_waits() -> None:
    """G2: traffic must not put off the next round."""
    transport, clock = waiting(3), Clock()
    lost = transport.ids
    relay = Relay(transport=transport, clock=clock)

    def turn() -> None:
        happen()
        clock.now += 1
        assert relay.turn() == 0.0

    turn()
    assert transport.asked
    transport.lost.update(chunk.token for chunk in transport.chunks)
    for _ in range(int(LEASE) + 3):
        turn()
    assert set(lost) <= set(transport.ids[4:])


@pytest.mark.django_db
def test_relay_sleeps_until_the_next_round() -> None:
    clock = Clock()
    relay = Relay(transport=waiting(1), clock=clock, poll_interval=60.0)
    assert relay.poll() == 0.0
    assert relay.poll() == LEASE
    clock.now += 20
    assert relay.poll() == LEASE - 20
    clock.now += 10
    assert relay.poll() == 0.0


@pytest.mark.django_db
def test_lease_that_ends_between_two_rounds_is_asked_about_at_once() -> None:
    transport, clock = waiting(2), Clock()
    relay = Relay(transport=transport, clock=clock)
    second = transport.chunks[1]
    Delivery.objects.filter(token=second.token).update(lease_until=after(20))
    relay.drain()
    Delivery.objects.filter(token=second.token).update(lease_until=after(0))
    while relay.poll() == 0.0:
        pass
    assert transport.asked == [{transport.chunks[0].token}, {second.token}]


@pytest.mark.django_db
def test_new_round_waits_for_the_end_of_a_long_one() -> None:
    """Or the end of a queue that takes longer than a lease to ask about is never reached."""
    transport, clock = waiting(30), Clock()
    for place, chunk in enumerate(transport.chunks):
        Delivery.objects.filter(token=chunk.token).update(lease_until=after(place - 100))
    last = transport.chunks[-1]
    transport.lost.add(last.token)
    relay = Relay(transport=transport, clock=clock, batch_size=1)
    for _ in transport.chunks:
        relay.poll()
        clock.now += LEASE
        if "pending" in statuses():
            break
    assert statuses().count("pending") == len(last.delivery_ids)


@pytest.mark.django_db
def test_leases_that_end_in_one_moment_are_asked_about_together() -> None:
    """The next page begins after that moment, so none of them may be left for it."""
    on_happened(write)
    transport = relayed(READS + 2)
    Delivery.objects.update(lease_until=after(-1))
    transport.lost.update(chunk.token for chunk in transport.chunks)
    assert Inquiry("default", transport, registry, limit=1).ask() == READS + 2
    assert set(statuses()) == {"pending"}


@pytest.mark.django_db
@pytest.mark.parametrize("fraction", ["000000", "000001", "999000"])
def test_page_may_end_at_any_moment(fraction: str) -> None:
    """SQLite compares texts, and of a whole second Django writes none of the fraction."""
    on_happened(write)
    transport = relayed(2 * READS)
    *others, last = transport.chunks
    for chunk in others:
        lapse_at(chunk, f"2026-01-01 00:00:00.{fraction}")
    lapse_at(last, "2026-01-01 00:00:01.000000")
    inquiry = Inquiry("default", transport, registry, limit=1)
    assert inquiry.ask() == 2 * READS - len(last.delivery_ids)
    assert inquiry.ask() == len(last.delivery_ids)
    assert inquiry.ask() == 0
    assert [len(tokens) for tokens in transport.asked] == [len(others), 1]


@row_locks
@pytest.mark.django_db(transaction=True)
def test_lost_delivery_that_somebody_holds_is_asked_about_again_soon() -> None:
    """G2: a worker may die of what it is just doing, and its lease is over already."""
    transport, clock = waiting(1), Clock()
    transport.lost.update(chunk.token for chunk in transport.chunks)
    relay = Relay(transport=transport, clock=clock)

    def ask() -> None:
        try:
            while relay.turn() == 0.0:
                pass
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        Delivery.objects.select_for_update().get()
        pool.submit(ask).result(30)
    assert statuses() == ["queued"]
    clock.now += 1
    relay.turn()
    assert statuses() == ["pending"]


def one_claim_each(count: int) -> Recorder:
    """Let deliveries wait in their queue, each under a claim of its own."""
    on_happened(write)
    transport = relayed(count)
    transport.chunks = [replace(c, token=uuid4(), delivery_ids=(pk,)) for c, pk in each(transport)]
    for chunk in transport.chunks:
        Delivery.objects.filter(pk__in=chunk.delivery_ids).update(token=chunk.token)
    return transport


def each(transport: Recorder) -> list[tuple[Chunk, int]]:
    return [(chunk, pk) for chunk in transport.chunks for pk in chunk.delivery_ids]


def lapsed_for(chunk: Chunk, seconds: float) -> None:
    Delivery.objects.filter(token=chunk.token).update(lease_until=after(-seconds))


@pytest.mark.django_db
def test_leases_that_end_all_the_time_do_not_put_off_the_next_round() -> None:
    """G2: not even where each look finds one, because looks are rare."""
    transport, clock = one_claim_each(int(LEASE) + 3), Clock()
    early, *others = transport.chunks
    inquiry = Inquiry("default", transport, registry, limit=5, clock=clock)
    lapsed_for(early, 1000)
    for place, chunk in enumerate(others):
        lapsed_for(chunk, 999 - place)
        inquiry.go_on()
        inquiry.looked(-0.1)
        assert inquiry.ask() > 0
        transport.lost.add(early.token)
        clock.now += 1
    assert Delivery.objects.get(pk=early.delivery_ids[0]).status == "pending"
    # In two rounds, and of none more often.
    asked = [sum(c.token in tokens for tokens in transport.asked) for c in transport.chunks]
    assert max(asked) == 2


@pytest.mark.django_db
def test_round_that_was_through_remains_so_whatever_lease_ends_then() -> None:
    clock = Clock()
    inquiry = Inquiry("default", waiting(1), registry, limit=1, clock=clock)
    assert inquiry.ask() == 1
    inquiry.looked(-0.1)
    assert inquiry.go_on() is not None
    assert inquiry.next_in(60.0) == LEASE
    clock.now += LEASE
    assert inquiry.go_on() is None
