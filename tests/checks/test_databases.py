"""`manage.py check`: the errors in how a database is set up."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connections
from django.test import override_settings

from eda_django.models import RelayHeartbeat
from eda_django.models.clock import DatabaseNow
from tests.checks.checking import ERROR, NoOutbox, assert_one, found
from tests.databases import set_up, vendor


@pytest.mark.parametrize("value", [False, None])
def test_e008_a_database_where_atomic_commits_nothing(monkeypatch: pytest.MonkeyPatch, value: Any):
    monkeypatch.setitem(connections["default"].settings_dict, "AUTOCOMMIT", value)
    assert_one(
        "E008",
        ERROR,
        f"DATABASES['default']['AUTOCOMMIT'] is {value!r}: atomic() commits nothing then, and a "
        "relay would push jobs for rows that nobody commits.",
        "Remove the key, or set it to True.",
        obj=None,
    )


def test_e008_looks_at_every_database_with_an_outbox(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(connections["other"].settings_dict, "AUTOCOMMIT", False)
    assert [(m.id, m.msg[:31]) for m in found()] == [
        ("eda_django.E008", "DATABASES['other']['AUTOCOMMIT'")
    ]
    with override_settings(DATABASE_ROUTERS=[NoOutbox()]):
        assert found() == []


only_utc = pytest.mark.skipif(
    vendor() == "postgresql", reason="PostgreSQL's times know their zone."
)


@only_utc
@pytest.mark.parametrize("zone", ["Asia/Tokyo", "Europe/London", "Etc/GMT+5", "Nowhere/At all"])
def test_e009_a_database_whose_times_are_in_another_zone(zone: str):
    with set_up(TIME_ZONE=zone):
        assert_one(
            "E009",
            ERROR,
            f"DATABASES['default']['TIME_ZONE'] is {zone!r}: Django reads this database's times in "
            "that zone, and this library writes them in UTC, so that what is due comes too early "
            "or too late.",
            'Remove the key, or set it to "UTC".',
            obj=None,
        )


@pytest.mark.parametrize("zone", [None, "UTC", "Etc/UTC", "Zulu"])
def test_e009_is_silent_about_utc(zone: str | None):
    with set_up(TIME_ZONE=zone):
        assert found() == []


@only_utc
def test_e009_looks_at_every_database_with_an_outbox():
    with set_up("other", TIME_ZONE="Asia/Tokyo"):
        assert [(m.id, m.msg[:30]) for m in found()] == [
            ("eda_django.E009", "DATABASES['other']['TIME_ZONE'")
        ]
        with override_settings(DATABASE_ROUTERS=[NoOutbox()]):
            assert found() == []


@pytest.mark.django_db(transaction=True)
def test_e009_is_said_where_the_databases_clock_is_read_wrongly_and_nowhere_else():
    """G11."""
    with set_up(TIME_ZONE="Asia/Tokyo"):
        row = RelayHeartbeat(name="r", pid=1, started_at=DatabaseNow(), beat_at=DatabaseNow())
        row.save(force_insert=True)
        off = abs(RelayHeartbeat.objects.get().beat_at - datetime.now(UTC))
        assert [m.id for m in found()] == ["eda_django.E009"] * (off > timedelta(minutes=1))
    assert (off > timedelta(hours=8)) == (vendor() != "postgresql")
