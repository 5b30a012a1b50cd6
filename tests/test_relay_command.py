"""manage.py relay: its arguments, its messages, its signals."""

import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connections, transaction
from django.utils import timezone

from eda_django import Event, publish, subscribes
from eda_django.management.commands import relay as command
from eda_django.models import Delivery, OutboxEvent, RelayHeartbeat, Status
from eda_django.registry import registry
from eda_django.relay import Relay
from tests.databases import set_up
from tests.integration.servers import closed_port, queue_at
from tests.relaying import statuses
from tests.testapp.events import Noted
from tests.testapp.models import Effect

BATCH = "a whole number from 1 to 10,000"
NUMBER = "a number of seconds above 0 and below 1,000,000,000"

pytestmark = pytest.mark.django_db(transaction=True)


def publish_notes(count: int, *, using: str = "default") -> None:
    with transaction.atomic(using=using):
        for number in range(count):
            publish(Noted(str(number)), using=using)


class TestMessages:
    def test_unknown_database_is_named_with_those_there_are(self) -> None:
        message = re.escape(
            "There is no database 'nowhere': name one that DATABASES has ('default', "
            "'other'), or add it there."
        )
        with pytest.raises(CommandError, match=message):
            call_command("relay", "--database=nowhere")

    def test_interval_of_looks_is_refused_where_there_is_one_look(self) -> None:
        message = re.escape(
            "--poll-interval 0.5 does nothing with --once, which looks once and ends. Leave one "
            "of them out."
        )
        with pytest.raises(CommandError, match=message):
            call_command("relay", "--once", "--poll-interval=0.5")

    def test_database_without_an_outbox_says_how_to_make_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(command, "has_outbox", lambda using: False)
        message = "Database 'default' has no outbox. Run: manage.py migrate --database=default"
        with pytest.raises(CommandError, match=message):
            call_command("relay")

    def test_database_that_is_away_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse() -> None:
            raise OperationalError("nobody there")

        monkeypatch.setattr(connections["default"], "ensure_connection", refuse)
        with pytest.raises(CommandError, match="'default' can't .* DATABASES: nobody there"):
            call_command("relay")

    @pytest.mark.parametrize("options", [["--once"], ["--once", "--inline"]], ids=" ".join)
    def test_database_where_atomic_commits_nothing_is_named_and_left_alone(
        self, redis_client: Any, options: list[str]
    ) -> None:
        """G2: jobs would be pushed for deliveries that are never committed."""
        publish_notes(2)
        message = re.escape(
            "DATABASES['default']['AUTOCOMMIT'] is False: atomic() commits nothing then, and a "
            "relay would push jobs for rows that nobody commits. Remove the key, or set it to True."
        )
        with set_up(AUTOCOMMIT=False), pytest.raises(CommandError, match=message):
            call_command("relay", *options, skip_checks=True)
        assert redis_client.keys("rq:job:*") == []
        assert Effect.objects.count() == 0

    def test_missing_queue_is_named_with_the_setting(self, settings: Any) -> None:
        settings.EDA_DJANGO = {"QUEUE": "nowhere"}
        with pytest.raises(
            CommandError, match=r"\['QUEUE'\] is 'nowhere', which is not in RQ_QUEUES: add it"
        ):
            call_command("relay", skip_checks=True)

    @pytest.mark.parametrize(
        ("argument", "message"),
        [
            ("--batch-size=0", f"--batch-size: must be {BATCH}, not '0'"),
            ("--batch-size=2.5", f"--batch-size: must be {BATCH}, not '2.5'"),
            ("--batch-size=10001", f"--batch-size: must be {BATCH}, not '10001'"),
            ("--poll-interval=-1", f"--poll-interval: must be {NUMBER}, not '-1'"),
            ("--poll-interval=nan", f"--poll-interval: must be {NUMBER}, not 'nan'"),
            ("--poll-interval=inf", f"--poll-interval: must be {NUMBER}, not 'inf'"),
            ("--poll-interval=soon", f"--poll-interval: must be {NUMBER}, not 'soon'"),
        ],
    )
    def test_bad_number_is_shown_with_what_it_must_be(self, argument: str, message: str) -> None:
        with pytest.raises(CommandError, match=f"Error: argument {message}"):
            call_command("relay", argument)


class TestOnce:
    def test_once_pushes_what_is_due_and_ends(self, redis_client: Any) -> None:
        publish_notes(3)
        call_command("relay", "--once")
        assert statuses() == [Status.QUEUED] * 3
        assert redis_client.llen("rq:queue:default") == 3

    def test_once_takes_batch_after_batch(self, redis_client: Any) -> None:
        publish_notes(5)
        call_command("relay", "--once", "--batch-size=2")
        assert statuses() == [Status.QUEUED] * 5
        # Batches of two deliveries make no chunk of more.
        assert redis_client.llen("rq:queue:default") == 5

    def test_once_inline_runs_the_subscribers(self, settings: Any) -> None:
        """Without any Redis, and without a queue for the doorbell."""
        settings.RQ_QUEUES = {
            name: queue_at(closed_port()) for name in settings.RQ_QUEUES if name != "default"
        }
        publish_notes(3)
        call_command("relay", "--once", "--inline", skip_checks=True)
        assert statuses() == [Status.SUCCEEDED] * 3
        assert Effect.objects.count() == 3

    def test_once_prunes_batch_after_batch(self, settings: Any) -> None:
        """G7: where it runs by cron, nobody else does; and what waits is kept."""
        settings.EDA_DJANGO = {**settings.EDA_DJANGO, "RETENTION": timedelta(days=1)}
        publish_notes(5)
        call_command("relay", "--once", "--inline")
        old = timezone.now() - timedelta(days=2)
        OutboxEvent.objects.update(relayed_at=old, time=old)
        Delivery.objects.filter(pk=Delivery.objects.earliest("pk").pk).update(status=Status.DEAD)
        publish_notes(1)
        call_command("relay", "--once", "--inline", "--batch-size=2")
        assert sorted(statuses()) == [Status.DEAD, Status.SUCCEEDED]
        assert OutboxEvent.objects.count() == 2

    def test_once_without_redis_says_so_and_loses_nothing(self, settings: Any) -> None:
        """G2."""
        settings.RQ_QUEUES = {name: queue_at(closed_port()) for name in settings.RQ_QUEUES}
        publish_notes(2)
        with pytest.raises(CommandError, match="correct its address in RQ_QUEUES: Error"):
            call_command("relay", "--once")
        assert statuses() == [Status.PENDING] * 2
        assert not Delivery.objects.exclude(attempts=0).exists()

    def test_once_without_redis_ends_well_where_nothing_is_for_it(self, settings: Any) -> None:
        settings.RQ_QUEUES = {name: queue_at(closed_port()) for name in settings.RQ_QUEUES}
        with transaction.atomic():
            publish("testapp.unheard", {})
        call_command("relay", "--once")
        assert OutboxEvent.objects.set_aside().count() == 1

    def test_once_that_loses_its_database_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """G2."""

        def lose(relay: Relay) -> int:
            raise OperationalError("the connection is closed")

        publish_notes(1)
        monkeypatch.setattr(Relay, "drain", lose)
        with pytest.raises(CommandError, match="'default' was lost on the way.*: the connection"):
            call_command("relay", "--once", "--inline", skip_checks=True)

    @pytest.mark.django_db(transaction=True, databases=["default", "other"])
    def test_database_chooses_the_outbox(self, redis_client: Any) -> None:
        """G12."""
        publish_notes(1)
        publish_notes(2, using="other")
        call_command("relay", "--once", "--database=other")
        assert statuses() == []
        assert Delivery.objects.using("other").filter(status=Status.QUEUED).count() == 2


def on_first(act: Callable[[], None]) -> None:
    """Subscribe to notes, and act when the first of them comes."""

    @subscribes(Noted, name="signalled")
    def signalled(event: Event[Noted]) -> None:
        Effect.objects.create(subscriber="signalled", event_id=event.id, attempt=1)
        if event.data.text == "0":
            act()


def send_sigterm() -> None:
    signal.raise_signal(signal.SIGTERM)
    for thread in threading.enumerate():
        if thread.name == "eda_django.stop":
            thread.join()


class TestSignals:
    @pytest.fixture(autouse=True)
    def _alone(self) -> Iterator[None]:
        """Leave the subscriber of a test the only one of its event."""
        kept = registry.get("testapp.behave")
        registry.remove("testapp.behave")
        yield
        assert kept
        registry.add(kept)

    def test_first_signal_finishes_the_chunk_and_releases_the_rest(self) -> None:
        on_first(send_sigterm)
        publish_notes(8)
        call_command("relay", "--once", "--inline")
        found = Delivery.objects.filter(subscriber="signalled").order_by("event_id")
        assert [(d.status, d.attempts) for d in found] == [
            *[(Status.SUCCEEDED, 1)] * 2,
            *[(Status.PENDING, 0)] * 6,
        ]
        assert Effect.objects.count() == 2

    def test_second_signal_forces(self) -> None:
        """What was running is recorded as failed; nothing stays claimed."""

        def insist() -> None:
            send_sigterm()
            send_sigterm()

        on_first(insist)
        publish_notes(1)
        with pytest.raises(CommandError, match="Stopped by force"):
            call_command("relay", "--once", "--inline")
        (delivery,) = Delivery.objects.all()
        assert (delivery.status, delivery.attempts) == (Status.PENDING, 1)
        assert delivery.error_class == "KeyboardInterrupt"
        assert not Effect.objects.exists()

    def test_signal_cuts_the_sleep_short_and_handlers_are_put_back(self) -> None:
        before = signal.getsignal(signal.SIGINT)
        main = threading.main_thread().ident
        assert main

        def interrupt() -> None:
            # Not before the relay obeys: it would end the test run instead.
            while signal.getsignal(signal.SIGINT) is before:
                time.sleep(0.01)
            signal.pthread_kill(main, signal.SIGINT)

        thread = threading.Thread(target=interrupt, daemon=True)
        thread.start()
        call_command("relay", "--inline", "--poll-interval=600")
        thread.join()
        assert signal.getsignal(signal.SIGINT) is before
        assert not RelayHeartbeat.objects.exists()
