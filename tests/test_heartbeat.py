"""Heartbeat rows: which relays live."""

from datetime import timedelta

import pytest
from django.db import connection

from eda_django.models import RelayHeartbeat
from eda_django.models.clock import after

ABOUT = {"hostname": "here", "pid": 7, "version": "1"}


@pytest.mark.django_db
def test_first_beat_tells_about_the_relay_and_later_ones_only_that_it_lives() -> None:
    RelayHeartbeat.objects.beat("a", **ABOUT)
    first = RelayHeartbeat.objects.get()
    assert (first.hostname, first.pid, first.version) == ("here", 7, "1")
    RelayHeartbeat.objects.beat("a", hostname="there", pid=8, version="2")
    second = RelayHeartbeat.objects.get()
    assert (second.hostname, second.started_at) == ("here", first.started_at)
    assert second.beat_at >= first.beat_at


@pytest.mark.django_db
def test_relay_unheard_of_is_not_alive_and_in_the_end_forgotten() -> None:
    for name in ("fresh", "late", "gone"):
        RelayHeartbeat.objects.beat(name, **ABOUT)
    RelayHeartbeat.objects.filter(name="late").update(beat_at=after(-60))
    RelayHeartbeat.objects.filter(name="gone").update(beat_at=after(-600))
    assert [row.name for row in RelayHeartbeat.objects.alive(30)] == ["fresh"]
    RelayHeartbeat.objects.forget(older_than=300)
    assert set(RelayHeartbeat.objects.values_list("name", flat=True)) == {"fresh", "late"}


@pytest.mark.django_db
def test_a_relay_of_older_code_that_knows_no_such_column_is_not_inline() -> None:
    RelayHeartbeat.objects.beat("a", **ABOUT)
    table, names = RelayHeartbeat._meta.db_table, "name, hostname, pid, version"
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({names}, started_at, beat_at)"
            f" SELECT 'b', hostname, pid, version, started_at, beat_at FROM {table}"
        )
    assert set(RelayHeartbeat.objects.values_list("name", "inline")) == {("a", False), ("b", False)}


def test_heartbeat_is_shown_by_its_name() -> None:
    assert str(RelayHeartbeat(name="host:1:ab")) == "host:1:ab"


@pytest.mark.django_db
def test_how_long_a_relay_has_said_nothing_is_counted_by_the_database() -> None:
    RelayHeartbeat.objects.beat("a", **ABOUT)
    RelayHeartbeat.objects.update(beat_at=after(-60))
    [row] = RelayHeartbeat.objects.with_now()
    assert timedelta(seconds=60) <= row.silence < timedelta(seconds=90)
