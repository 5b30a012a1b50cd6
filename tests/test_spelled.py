"""What partial indexes are about stands in the conditions; all else is a parameter."""

import pickle
from typing import Any

import pytest
from django.db.models import F, Field, Q
from django.db.models.functions import Concat
from django.utils import timezone

from eda_django.models import BulkOperation, Delivery, OutboxEvent

HOSTILE = "dead' OR '1'='1"


def condition(rows: Any) -> tuple[str, tuple[Any, ...]]:
    """Return what follows WHERE, and its parameters."""
    sql, params = rows.query.sql_with_params()
    return sql.partition(" WHERE ")[2], params


@pytest.mark.parametrize(
    ("rows", "spelled"),
    [
        (Delivery.objects.filter(status="dead"), "= 'dead'"),
        (Delivery.objects.exclude(status="dead"), "= 'dead'"),
        (Delivery.objects.filter(status__in=["queued", "running"]), "IN ('queued', 'running')"),
        (Delivery.objects.filter(attempts__gt=0), "> 0"),
        (OutboxEvent.objects.exclude(key=""), "= ''"),
        (OutboxEvent.objects.filter(deliveries__status="dead"), "= 'dead'"),
    ],
)
def test_what_an_index_is_about_is_spelled_out(rows: Any, spelled: str) -> None:
    sql, params = condition(rows)
    assert spelled in sql
    assert params == ()


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (Delivery.objects.filter(status=HOSTILE), (HOSTILE,)),
        (Delivery.objects.filter(status__in=["dead", HOSTILE]), ("dead", HOSTILE)),
        (Delivery.objects.filter(status__startswith="dead"), ("dead%",)),
        (Delivery.objects.filter(attempts__gt=1), (1,)),
        (Delivery.objects.filter(attempts=0), (0,)),
        (OutboxEvent.objects.filter(key="7"), ("7",)),
        (OutboxEvent.objects.filter(error=""), ("",)),
    ],
)
def test_whatever_else_comes_is_a_parameter(rows: Any, expected: tuple[Any, ...]) -> None:
    assert condition(rows)[1] == expected


def test_columns_are_compared_as_ever() -> None:
    sql, params = condition(Delivery.objects.filter(Q(status=F("queue")) | Q(attempts__gt=F("id"))))
    assert sql.count("eda_django_delivery") == 4
    assert params == ()


@pytest.mark.django_db
def test_rows_are_found_by_what_is_spelled_out() -> None:
    event = OutboxEvent.objects.create(
        event_id="0b5c7a0e-93c1-4ef2-8d0a-6f1c2b3d4e5f", type="t.e", data={}, time=timezone.now()
    )
    for status in ("dead", "succeeded", "discarded"):
        Delivery.objects.create(event=event, subscriber=status, queue="q", status=status)
    found = Delivery.objects.filter(status__in=["dead", "discarded"]).order_by("status")
    assert [row.status for row in found] == ["dead", "discarded"]
    assert not Delivery.objects.filter(status=HOSTILE).exists()
    assert not OutboxEvent.objects.exclude(key="").exists()


@pytest.mark.parametrize("model", [OutboxEvent, Delivery, BulkOperation])
def test_whatever_a_partial_index_is_about_is_spelled_out(model: Any) -> None:
    wheres = [getattr(index, "where", index.condition) for index in model._meta.indexes]
    assert any(wheres)
    for where in filter(None, wheres):
        assert condition(model.objects.filter(where))[1] == (), where


class Odd(str):
    """Equal to another text, and written in another way."""

    def __str__(self) -> str:
        return HOSTILE


def test_what_only_seems_to_be_a_state_is_not_what_is_written() -> None:
    sql, params = condition(Delivery.objects.filter(status=Odd("dead")))
    assert sql.endswith("= 'dead'")
    assert params == ()


def test_fields_go_together_with_others_of_their_kind() -> None:
    both = Delivery.objects.annotate(both=Concat("subscriber", "status", "key"))
    assert "both" in str(both.query)


def test_a_queryset_can_be_pickled() -> None:
    rows = Delivery.objects.filter(status__in=["dead"], attempts__gt=0, event__key="")
    again = pickle.loads(pickle.dumps(rows.query))  # noqa: S301
    assert str(again) == str(rows.query)


def test_migrations_see_plain_fields() -> None:
    """Or every site would have to run a migration that changes nothing."""
    fields = [
        field
        for model in (OutboxEvent, Delivery, BulkOperation)
        for field in model._meta.get_fields()
        if isinstance(field, Field)
    ]
    assert fields
    assert all(field.deconstruct()[1].startswith("django.db.models.") for field in fields)
