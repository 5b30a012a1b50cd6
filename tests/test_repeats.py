"""When a drain has nothing left but what subscribers put off, again and again."""

import pytest

from eda_django import signals
from eda_django.models import Delivery
from eda_django.repeats import Repeats

pytestmark = pytest.mark.once


def put_off(*ids: int, using: str = "default") -> None:
    for pk in ids:
        delivery = Delivery(pk=pk)
        delivery._state.db = using
        signals.delivery_deferred.send(sender=Delivery, delivery=delivery, reason="later")


def test_it_ends_when_nothing_moves() -> None:
    with Repeats("default") as repeats:
        assert not repeats.are_all(2)
        assert repeats.are_all(0)


def test_it_ends_when_one_comes_again_with_nothing_else_in_between() -> None:
    with Repeats("default") as repeats:
        answers = []
        for turn in ((1, 2), (1, 2), (1, 2)):
            put_off(*turn)
            answers.append(repeats.are_all(len(turn)))
    assert answers == [False, False, True]


def test_small_batches_are_gone_through_once_more() -> None:
    """What was given back meanwhile is due later than the first of them, and sooner than again."""
    with Repeats("default") as repeats:
        answers = []
        for pk, moved in ((1, 1), (2, 1), (1, 1), (2, 1), (3, 1), (1, 1), (2, 1), (1, 1)):
            put_off(pk)
            answers.append(repeats.are_all(moved))
    assert answers == [False] * 7 + [True]


def test_whatever_else_moves_is_gone_on_with() -> None:
    with Repeats("default") as repeats:
        for _ in range(5):
            put_off(1)
            assert not repeats.are_all(2)


def test_other_databases_and_other_drains_count_for_nothing() -> None:
    with Repeats("default") as repeats:
        for _ in range(5):
            put_off(1, using="other")
            assert not repeats.are_all(1)
    for _ in range(5):
        put_off(1)
    with repeats:
        put_off(1)
        assert not repeats.are_all(1)
