"""Two and five relays at once, of which one dies: nobody hands out what another has."""

import pytest
from django.db import connection

from eda_django.models import RelayHeartbeat
from tests.faults import outcome
from tests.faults.children import Child, Children
from tests.faults.planting import Fate
from tests.faults.publishing import publish
from tests.integration import ordering
from tests.waiting import eventually

pytestmark = pytest.mark.processes

KIND = "faults.happened"
EVENTS = 60
MANY = pytest.mark.parametrize("relays", [2, 5])


def start(children: Children, relays: int, *words: str) -> list[Child]:
    """Start so many; on SQLite all but one say why not, and stop."""
    started = [children.relay("--batch-size=3", *words) for _ in range(relays)]
    if connection.vendor != "sqlite":
        pids = [child.pid for child in started]
        eventually(lambda: RelayHeartbeat.objects.filter(pid__in=pids).count() == relays)
        return started
    eventually(lambda: sum(child.is_running for child in started) == 1)
    for child in started:
        if not child.is_running:
            assert child.ends() == 1
            assert "A relay for database 'default' runs already." in child.text
    return [child for child in started if child.is_running]


@MANY
def test_relays_share_what_there_is_and_hand_out_nothing_twice(
    children: Children, relays: int
) -> None:
    """G2, G3, G12: each delivery is in one job, also of what comes back to be tried again."""
    start(children, relays)
    publishers = [children.publish(KIND, *["", "fail", ""] * (EVENTS // 6)) for _ in range(2)]
    assert [child.ends() for child in publishers] == [0, 0]
    eventually(lambda: ordering.statuses() == {"queued": 2 * EVENTS})
    eventually(lambda: sum(outcome.pushed().values()) == 2 * EVENTS)
    assert set(outcome.pushed().values()) == {1}
    children.worker(*outcome.QUEUES)
    failed = dict.fromkeys(outcome.numbers_of("fail"), "RuntimeError")
    assert len(failed) == EVENTS // 3
    outcome.check(KIND, EVENTS, failed=failed)


@MANY
def test_relay_that_dies_among_others_is_made_good_for(children: Children, relays: int) -> None:
    """G2, G3, G12: the others, or on SQLite the next one, go on at once."""
    first = children.relay("--batch-size=3", at="after push #2", fate=Fate.FROST)
    publish(KIND, *[""] * EVENTS)
    # Frozen until the others are there, who could have done all of it before.
    first.breaks()
    others = [] if connection.vendor == "sqlite" else start(children, relays - 1)
    first.kill()
    others = others or start(children, relays)
    children.worker(*outcome.QUEUES)
    outcome.come_to_rest(KIND, EVENTS)
    outcome.check(KIND, EVENTS)
    assert all(child.is_running for child in others)
