"""What a relay looks into when leases are over: each claim once, with one statement."""

from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from eda_django.models import Delivery
from tests.delivery.claiming import queued

pytestmark = pytest.mark.django_db

LONG_AGO = timezone.now() - timedelta(hours=1)


def lapse(pk: int, second: int) -> None:
    """Have the lease end that many seconds after the first."""
    ended = LONG_AGO + timedelta(seconds=second)
    Delivery.objects.filter(pk=pk).update(lease_until=ended)


@pytest.mark.parametrize(
    ("seconds", "limit", "found"),
    [
        ([3, 1, 2], 2, [1, 2]),
        ([1, 2, 2, 2], 2, [1, 2, 2, 2]),
        ([1, 1, 2, 3], 2, [1, 1]),
        ([1, 2, 2, 3], 3, [1, 2, 2]),
        ([1], 1, [1]),
    ],
)
def test_lapsed_claims_come_with_all_of_the_last_moment_and_none_comes_twice(
    seconds: list[int], limit: int, found: list[int]
) -> None:
    _, ids = queued(len(seconds))
    for pk, second in zip(ids, seconds, strict=True):
        lapse(pk, second)
    rows = Delivery.objects.lapsed_queued(limit)
    assert len({row.pk for row in rows}) == len(rows)
    assert [round((row.leased_until - LONG_AGO).total_seconds()) for row in rows] == found


def test_what_a_relay_asks_of_a_lapsed_claim_costs_no_further_statement() -> None:
    token, [pk] = queued()
    lapse(pk, 0)
    with CaptureQueriesContext(connection) as captured:
        [row] = Delivery.objects.lapsed_queued(10)
        assert (row.pk, row.token, row.queue, row.leased_until) == (pk, token, "default", LONG_AGO)
        [row] = Delivery.objects.queued_under([token])
        assert (row.pk, row.token) == (pk, token)
    assert len(captured) == 2


def test_what_is_taken_back_is_what_was_named_and_not_all_under_its_claim() -> None:
    _, ids = queued(3)
    rows = list(Delivery.objects.filter(pk=ids[1]))
    with transaction.atomic():
        assert Delivery.objects.requeue(rows) == 1
    assert list(Delivery.objects.due().values_list("pk", flat=True)) == [ids[1]]
