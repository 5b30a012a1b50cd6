"""What exceptions quote of redacted fields, from the attempt to the operator's page."""

import html
import json
import logging
from typing import Any
from uuid import uuid4

import pytest
from django.test import override_settings
from pydantic import BaseModel, field_validator

from eda_django import Event, event, publish
from eda_django.models import Attempt, Delivery, OutboxEvent
from tests.console import operator, url
from tests.relaying import on_happened, relayed

pytestmark = pytest.mark.django_db

REDACT = ["login", "pem", "token", "cards"]
PRIVATE: dict[str, Any] = {
    "login": 'DOM\\alice\'s "pässw0rd"',
    "pem": "-----BEGIN-----\nMIISECRET\nMATERIAL\n-----END-----\n",
    "token": "eyJhbGciOiJIUzI1NiJ9." + "A1b2C3d4" * 6 + ".sIgNaTuRe",
    "cards": {"4111111111111111": "visa-gold"},
}
WORDS = ["alice", "ssw0rd", "MIISECRET", "MATERIAL", "eyJhb", "NaTuRe", "41111111", "visa-gold"]


class Amount(BaseModel):
    amount: int


def missing_key(seen: Event[Any]) -> None:
    {}[seen.data["login"]]


def quoted(seen: Event[Any]) -> None:
    raise ValueError(f"refused: {seen.data!r}")


def as_json(seen: Event[Any]) -> None:
    raise ValueError(f"the bank answered {json.dumps(json.dumps(seen.data))}")


def grouped(seen: Event[Any]) -> None:
    raise ExceptionGroup("two", [ValueError(seen.data["pem"]), KeyError(seen.data["pem"])])


def cut(seen: Event[Any]) -> None:
    Amount.model_validate({"amount": seen.data["token"]})


def of_a_dict(seen: Event[Any]) -> None:
    Amount.model_validate({"amount": {"token": seen.data["token"]}})


def with_names(seen: Event[Any]) -> None:
    raise LookupError(f"no bank for {list(seen.data['cards'])}")


SUBSCRIBERS = [missing_key, quoted, as_json, grouped, cut, of_a_dict, with_names]


@pytest.mark.parametrize("subscriber", SUBSCRIBERS, ids=lambda one: one.__name__)
def test_secret_that_an_exception_quotes_is_seen_nowhere(
    settings: Any, caplog: pytest.LogCaptureFixture, subscriber: Any
) -> None:
    """G9: neither in the rows, nor in the log, nor on a page."""
    settings.EDA_DJANGO = {**settings.EDA_DJANGO, "REDACT": REDACT}
    on_happened(subscriber)
    with caplog.at_level(logging.DEBUG):
        relayed(**PRIVATE).work()
    row, attempt = Delivery.objects.get(), Attempt.objects.get()
    assert subscriber.__name__ in attempt.traceback
    client = operator(is_superuser=True)
    pages = [url("delivery_change", row.pk), url("outboxevent_change", row.event_id)]
    shown = [html.unescape(client.get(page).content.decode()) for page in pages]
    for text in (row.error_text, attempt.error_text, attempt.traceback, caplog.text, *shown):
        assert [word for word in WORDS if word in text] == []
    assert [r.exc_info for r in caplog.records if r.name == "eda_django" and r.exc_info] == []


@pytest.mark.parametrize("subscriber", SUBSCRIBERS, ids=lambda one: one.__name__)
def test_secret_of_a_field_that_is_redacted_later_is_masked_on_the_page(subscriber: Any) -> None:
    on_happened(subscriber)
    relayed(**PRIVATE).work()
    row = Delivery.objects.get()
    assert [word for word in WORDS if word in Attempt.objects.get().traceback]
    client = operator(is_superuser=True)
    with override_settings(EDA_DJANGO={"REDACT": REDACT}):
        page = html.unescape(client.get(url("delivery_change", row.pk)).content.decode())
    assert [word for word in WORDS if word in page] == []


@event("test.account")
class Account(BaseModel):
    login: str

    @field_validator("login")
    @classmethod
    def _known(cls, value: str) -> str:
        if "alice" in value:
            raise ValueError(f"{value!r} is not known")
        return value


def test_edited_payload_is_refused_without_the_secret_that_a_validator_quotes() -> None:
    with override_settings(EDA_DJANGO={"EDIT_AND_RESEND": True, "REDACT": REDACT}):
        row = OutboxEvent.objects.get(event_id=publish(Account(login="bob")).id)
        payload = json.dumps({"login": PRIVATE["login"]})
        sent = {"once": uuid4(), "payload": payload, "reason": "r"}
        answer = operator(is_superuser=True).post(url("outboxevent_edit", row.pk), sent)
    assert answer.context["form"].errors["payload"] == [
        "Event 'test.account': field 'login': Value error, '***' is not known, not *** (str)."
    ]
