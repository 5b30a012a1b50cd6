"""What the table of deliveries can't hold."""

from typing import Any
from uuid import UUID

import pytest
from django.core.management import call_command
from django.db import IntegrityError, transaction

from eda_django.models import Delivery, OutboxEvent
from eda_django.models.clock import after
from tests.delivery.claiming import queued


@pytest.mark.django_db
@pytest.mark.parametrize(
    "change",
    [
        {"status": "pending"},
        {"token": None},
        {"lease_until": None},
        {"status": "running", "lease_until": None},
    ],
)
def test_row_that_nobody_would_look_at_can_not_be_stored(change: dict[str, Any]) -> None:
    """G2: not by hand either: what waits has a time, what is claimed has a lease."""
    queued()
    with pytest.raises(IntegrityError), transaction.atomic():
        Delivery.objects.update(**change)


@pytest.mark.django_db
def test_second_delivery_of_an_event_for_a_subscriber_can_not_be_stored() -> None:
    queued()
    with pytest.raises(IntegrityError), transaction.atomic():
        Delivery.objects.create(
            event=OutboxEvent.objects.get(), subscriber="t.sub", queue="q", due_at=after(0)
        )


@pytest.mark.django_db
def test_migrations_say_what_the_models_say() -> None:
    call_command("makemigrations", "eda_django", "testapp", check=True, dry_run=True, verbosity=0)


def test_delivery_is_shown_by_its_subscriber_and_job() -> None:
    row = Delivery(pk=7, subscriber="a.b")
    assert (str(row), row.job_id) == ("a.b 7", "")
    row.token = UUID(int=1)
    assert row.job_id == f"eda-{UUID(int=1).hex}"
