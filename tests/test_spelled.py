"""What partial indexes are about stands in the conditions; all else is a parameter."""

from typing import Any

import pytest
from django.db.models import F, Field, Q
from django.utils import timezone

from eda_django.models import BulkOperation, Delivery, OutboxEvent
from eda_django.models.spelled import StateField

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


def test_migrations_see_plain_fields() -> None:
    """Or every site would have to run a migration that changes nothing."""
    fields = [
        field
        for model in (OutboxEvent, Delivery, BulkOperation)
        for field in model._meta.get_fields()
        if isinstance(field, Field)
    ]
    assert any(isinstance(field, StateField) for field in fields)
    assert all(field.deconstruct()[1].startswith("django.db.models.") for field in fields)
