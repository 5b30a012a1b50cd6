"""What the consumer says in the log, in full, and with which exception."""

import logging
from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction

from eda_django import Event
from eda_django.models import Delivery
from tests.consumer.running import one_chunk, run

pytestmark = pytest.mark.django_db(transaction=True)


def warnings(caplog: pytest.LogCaptureFixture) -> list[tuple[str, Any]]:
    """Return the lines from WARNING on, each with its exception."""
    found = [record for record in caplog.records if record.levelno >= logging.WARNING]
    return [(r.getMessage(), r.exc_info[1] if r.exc_info else None) for r in found]


def lose_claim(seen: Event[Any]) -> None:
    Delivery.objects.update(token=uuid4())


@pytest.mark.parametrize("atomic", [True, False])
def test_a_claim_that_was_lost_under_a_success(
    atomic: bool, caplog: pytest.LogCaptureFixture
) -> None:
    (pk,) = (chunk := one_chunk(1, lose_claim, atomic=atomic)).delivery_ids
    assert run(chunk) == 0
    line = f"claim was lost, nothing was changed delivery={pk} subscriber=t.sub error="
    assert warnings(caplog) == [(line, None)]


def test_a_claim_that_was_lost_under_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    error = RuntimeError("the gateway hung up")

    def fail(seen: Event[Any]) -> None:
        lose_claim(seen)
        raise error

    (pk,) = (chunk := one_chunk(1, fail, atomic=False)).delivery_ids
    run(chunk)
    line = f"claim was lost, nothing was changed delivery={pk} subscriber=t.sub error={error}"
    assert warnings(caplog) == [(line, error)]


def test_an_error_after_the_commit(caplog: pytest.LogCaptureFixture) -> None:
    error = RuntimeError("the mail server is away")

    def fail() -> None:
        raise error

    chunk = one_chunk(1, lambda seen: transaction.on_commit(fail))
    assert run(chunk) == 1
    line = f"error after the commit delivery={chunk.delivery_ids[0]}"
    assert warnings(caplog) == [(line, error)]
