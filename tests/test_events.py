"""Event types and their declaration, and the envelope."""

import re
import subprocess
import sys
from dataclasses import FrozenInstanceError, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.exceptions import ImproperlyConfigured
from pydantic import BaseModel
from typing_extensions import TypedDict

from eda_django import Event, InvalidEvent, InvalidEventType, event
from eda_django.events import EventType, EventTypes, check_name, is_payload_class, types, uuid7

ROOT = Path(__file__).parent.parent

NAMES = (
    "an event's name has letters, digits, '_', '-', '.', ':' and '/' only, and begins with none "
    "of the last four, such as 'orders.order_placed'."
)


@dataclass(frozen=True)
class Paid:
    amount: int = 0


class Sent(TypedDict):
    amount: int


class Left(BaseModel):
    amount: int


def envelope(**changes: Any) -> Event[Any]:
    values: dict[str, Any] = {
        "data": Paid(1),
        "id": UUID(int=1),
        "type": "paid",
        "version": 1,
        "source": "tests",
        "time": datetime(2026, 1, 1, tzinfo=UTC),
        "correlation_id": "c",
    }
    return Event(**{**values, **changes})


@pytest.mark.parametrize("payload", [Paid, Sent, Left])
def test_event_declares_dataclasses_typed_dicts_and_models(payload: type):
    assert event("test.paid", version=3)(payload) is payload
    assert types.of_class(payload) == EventType(name="test.paid", version=3, payload=payload)
    assert types.get("test.paid") is types.of_class(payload)


class Plain:
    amount: int


class WithoutDataclass(Paid):
    more: int


class Pair(tuple[int, int]):
    pass


@pytest.mark.parametrize("payload", [Plain, WithoutDataclass, Pair, dict, int, Paid(1), "Paid"])
def test_event_refuses_what_has_no_fields_of_its_own(payload: Any):
    with pytest.raises(InvalidEventType) as caught:
        event("test.paid")(payload)
    assert str(caught.value) == (
        f"@event('test.paid') must stand on a dataclass, a TypedDict or a pydantic model, and "
        f"above @dataclass, not below it; {payload!r} is none of these."
    )
    assert not is_payload_class(payload)
    assert types.get("test.paid") is None


def test_event_below_dataclass_is_refused_even_on_a_subclass_of_a_dataclass():
    """@dataclass(slots=True) makes another class, which would be unknown when it is published."""
    with pytest.raises(InvalidEventType, match="above @dataclass, not below it"):

        @dataclass(frozen=True, slots=True)
        @event("test.refunded")
        class Refunded(Paid):
            reason: str = ""


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", NAMES),
        ("order placed", NAMES),
        (".placed", NAMES),
        ("orders.*", NAMES),
        ("order\x00", NAMES),
        ("order\n", NAMES),
        ("ordér", NAMES),
        (
            "a" * 256,
            "an event's name may have 255 characters, this one has 256: take a shorter one.",
        ),
        (5, "an event's name must be a text such as 'orders.order_placed', not 5."),
        (None, "an event's name must be a text such as 'orders.order_placed', not None."),
    ],
)
def test_a_bad_name_is_refused_in_full_words(name: Any, problem: str):
    shown = repr(name) if len(repr(name)) <= 80 else f"{repr(name)[:77]}..."
    with pytest.raises(InvalidEventType, match=f"^{re.escape(f'@event({shown}): {problem}')}$"):
        event(name)
    with pytest.raises(InvalidEvent, match=f"^{re.escape(f'Event {shown}: {problem}')}$"):
        check_name(name)


@pytest.mark.parametrize("name", ["a", "a" * 255, "_x", "9", "shop/orders:placed-v2.x"])
def test_a_good_name_is_taken(name: str):
    assert check_name(name) == name


@pytest.mark.parametrize("version", [0, -1, 2**15, True, "1", 1.0, None])
def test_a_bad_version_is_refused(version: Any):
    with pytest.raises(InvalidEventType) as caught:
        event("test.paid", version=version)
    assert str(caught.value) == (
        f"@event('test.paid', version={version!r}): the version must be a whole number "
        "from 1 to 32,767."
    )


def test_errors_of_declarations_are_configuration_errors():
    assert issubclass(InvalidEventType, ImproperlyConfigured)


def test_one_name_for_two_classes_is_refused():
    event("test.paid")(Paid)
    with pytest.raises(InvalidEventType) as caught:
        event("test.paid")(Left)
    assert str(caught.value) == (
        "Event 'test.paid' is declared twice, by tests.test_events.Paid and by "
        "tests.test_events.Left: give one of them another name."
    )


def test_one_class_for_two_names_is_refused():
    """publish(Paid(1)) could not know which of them is meant."""
    event("test.paid")(Paid)
    with pytest.raises(InvalidEventType) as caught:
        event("test.settled")(Paid)
    assert str(caught.value) == (
        "tests.test_events.Paid is declared twice, as 'test.paid' and as 'test.settled': give "
        "each event a class of its own."
    )
    assert types.get("test.settled") is None


def test_a_module_that_is_imported_anew_declares_its_classes_anew():
    known = EventTypes()
    again = type("Paid", (Paid,), {"__module__": Paid.__module__, "__qualname__": "Paid"})
    known.declare(EventType(name="test.paid", payload=Paid))
    newer = known.declare(EventType(name="test.paid", payload=again, version=2))
    assert known.get("test.paid") is newer
    assert known.of_class(again) is newer


def test_a_name_without_a_class_takes_the_class_of_its_declaration():
    known = EventTypes()
    bare = EventType(name="test.paid")
    typed = EventType(name="test.paid", payload=Paid)
    assert known.declare(bare) is bare
    assert known.declare(typed) is typed
    assert known.declare(bare) is typed
    assert list(known) == [typed]


def test_forgetting_a_type_forgets_its_class():
    known = EventTypes()
    known.declare(EventType(name="test.paid", payload=Paid))
    known.forget("test.paid")
    known.forget("test.paid")
    assert known.of_class(Paid) is None
    assert list(known) == []


def test_an_envelope_can_not_be_changed():
    with pytest.raises(FrozenInstanceError):
        envelope().key = "other"  # type: ignore[misc]


def test_the_repr_of_an_envelope_shows_neither_payload_nor_headers():
    """G9: it ends up in logs and error texts."""
    text = repr(envelope(data={"card": "no. 4"}, headers={"token": "s3cret"}))
    assert "no. 4" not in text
    assert "s3cret" not in text
    assert "type='paid'" in text


def test_event_ids_are_version_7_and_follow_the_clock():
    ids = [uuid7() for _ in range(100)]
    assert {one.version for one in ids} == {7}
    assert ids == sorted(ids)


FORKS = """
import os
from eda_django.events import uuid7
uuid7()
for _ in range(6):
    if not (pid := os.fork()):
        os.write(1, "".join(f"{uuid7()}\\n" for _ in range(50)).encode())
        os._exit(0)
    os.waitpid(pid, 0)
"""


def test_event_ids_of_forks_differ_in_more_than_the_time():
    """A web server's processes and RQ's jobs are forks, and two may publish in one millisecond."""
    forked = subprocess.run(
        [sys.executable, "-c", FORKS], cwd=ROOT, capture_output=True, text=True, check=True
    )
    ids = [UUID(line) for line in forked.stdout.split()]
    assert len(set(ids)) == 6 * 50
    # Version 7 begins with the time; the last 62 bits are chance, in Python 3.14 partly a count.
    assert len({one.int % 2**62 for one in ids}) == 6 * 50
