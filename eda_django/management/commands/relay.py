"""manage.py relay: arguments and signals; the work is in eda_django.relay."""

import logging
import signal
import threading
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, OperationalError, connections

from eda_django.conf import OPTIONS
from eda_django.database_checks import AUTOCOMMIT_HINT, autocommit_problem, has_outbox
from eda_django.dispatch import default_queue
from eda_django.exceptions import TransportUnavailable
from eda_django.inline import InlineTransport
from eda_django.relay import Relay
from eda_django.sole_relay import SoleRelay

logger = logging.getLogger("eda_django")

INLINE_POLL = 1.0


class Command(BaseCommand):
    help = "Relays committed events from the outbox to the workers that run their subscribers."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--once",
            action="store_true",
            help="Relay what is due, delete what is older than RETENTION, then exit.",
        )
        parser.add_argument(
            "--inline",
            action="store_true",
            help="Run the subscribers in this process: no Redis, no workers.",
        )
        parser.add_argument(
            "--database",
            default=DEFAULT_DB_ALIAS,
            help="The database whose outbox to drain (default: %(default)s).",
        )
        parser.add_argument(
            "--batch-size",
            type=_as("BATCH_SIZE", int),
            help="The most events to claim in one transaction (default: BATCH_SIZE).",
        )
        parser.add_argument(
            "--poll-interval",
            type=_as("POLL_INTERVAL", float),
            help="Seconds between two looks when nothing rings (default: POLL_INTERVAL; "
            f"with --inline {INLINE_POLL:g}).",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        using = options["database"]
        if options["once"] and options["poll_interval"]:
            raise CommandError(
                f"--poll-interval {options['poll_interval']:g} does nothing with --once, which "
                f"looks once and ends. Leave one of them out."
            )
        self._require_outbox(using)
        if not options["inline"]:
            self._require_queue()
        inline = InlineTransport(stopping=lambda: relay.stopping.is_set())
        relay = Relay(
            using=using,
            transport=inline if options["inline"] else None,
            batch_size=options["batch_size"],
            poll_interval=options["poll_interval"] or (INLINE_POLL if options["inline"] else None),
        )
        with SoleRelay(using), _obeying_signals(relay):
            self._run(relay, once=options["once"])

    def _run(self, relay: Relay, *, once: bool) -> None:
        try:
            if once:
                relay.drain()
                # Where it runs by cron, nobody else does.
                while not relay.stopping.is_set() and relay.prune():
                    pass
            else:
                # The log is silent by default; whoever starts it by hand wants to see that it runs.
                self.stdout.write(f"Relaying the outbox of {relay.using!r}. Ctrl-C ends it.")
                relay.run()
        except TransportUnavailable as error:
            raise CommandError(
                f"Redis can't be reached, nothing was lost. Start it, or correct its address in "
                f"RQ_QUEUES: {error}"
            ) from error
        except (OperationalError, InterfaceError) as error:
            # With --once only: run() waits until an outage is over.
            raise CommandError(
                f"Database {relay.using!r} was lost on the way, what was committed is not: {error}"
            ) from error
        except KeyboardInterrupt:
            raise CommandError("Stopped by force. Leases give back what was at hand.") from None

    def _require_outbox(self, using: str) -> None:
        if using not in list(connections):
            known = ", ".join(map(repr, connections))
            raise CommandError(
                f"There is no database {using!r}: name one that DATABASES has ({known}), or add it "
                f"there."
            )
        if problem := autocommit_problem(using):
            raise CommandError(f"{problem} {AUTOCOMMIT_HINT}")
        try:
            connections[using].ensure_connection()
        except DatabaseError as error:
            raise CommandError(
                f"Database {using!r} can't be reached. Start it, or correct DATABASES: {error}"
            ) from error
        if not has_outbox(using):
            raise CommandError(
                f"Database {using!r} has no outbox. Run: manage.py migrate --database={using}"
            )

    def _require_queue(self) -> None:
        try:
            default_queue()
        except ImproperlyConfigured as error:
            raise CommandError(error) from error


@contextmanager
def _obeying_signals(relay: Relay) -> Iterator[None]:
    """Have the first SIGTERM or SIGINT end the relay after its batch, and a second one at once."""
    received: list[int] = []

    def stop() -> None:
        relay.stop()
        logger.info("relay stops after what is at hand, a second signal stops it at once")

    def obey(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if len(received) > 1:
            raise KeyboardInterrupt
        # In a thread, because the one that was interrupted may hold the lock of the very event
        # that stop() sets.
        threading.Thread(target=stop, name="eda_django.stop").start()

    before = {number: signal.signal(number, obey) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _as(key: str, kind: type) -> Any:
    """Return what reads an argument that stands for a setting, and may be what that may."""
    option = OPTIONS[key]

    def parse(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if not option.accepts(value):
            raise ArgumentTypeError(f"must be {option.must_be}, not {text!r}")
        return value

    return parse
