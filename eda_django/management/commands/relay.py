"""manage.py relay: arguments and signals; the work is in eda_django.relay."""

import signal
from argparse import ArgumentParser
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS, connections

from eda_django.checks import has_outbox
from eda_django.dispatch import InlineTransport
from eda_django.exceptions import TransportUnavailable
from eda_django.relay import Relay
from eda_django.sole import SoleRelay

INLINE_POLL = 1.0


class Command(BaseCommand):
    help = "Relays committed events from the outbox to the workers that run their subscribers."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="Relay what is due, then exit.")
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
            type=_positive(int),
            help="The most events to claim in one transaction (default: BATCH_SIZE).",
        )
        parser.add_argument(
            "--poll-interval",
            type=_positive(float),
            help="Seconds between two looks when nothing rings (default: POLL_INTERVAL; "
            f"with --inline {INLINE_POLL:g}).",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        using = options["database"]
        self._require_outbox(using)
        inline = InlineTransport(stopping=lambda: relay.stopping.is_set())
        relay = Relay(
            using=using,
            transport=inline if options["inline"] else None,
            batch_size=options["batch_size"],
            poll_interval=options["poll_interval"] or (INLINE_POLL if options["inline"] else None),
        )
        self._relay = relay
        with SoleRelay(using):
            self._obey_signals()
            self._run(relay, once=options["once"])

    def _run(self, relay: Relay, *, once: bool) -> None:
        if not once:
            relay.run()
            return
        try:
            relay.drain()
        except TransportUnavailable as error:
            raise CommandError(f"Redis can't be reached, nothing was lost: {error}") from error

    def _require_outbox(self, using: str) -> None:
        if using not in list(connections):
            known = ", ".join(map(repr, connections))
            raise CommandError(f"There is no database {using!r}, DATABASES has {known}.")
        connections[using].ensure_connection()
        if not has_outbox(using):
            raise CommandError(
                f"Database {using!r} has no outbox. Run: manage.py migrate --database={using}"
            )

    def _obey_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self._relay.stopping.is_set():
            raise KeyboardInterrupt
        self._relay.stop()


def _positive(kind: type) -> Any:
    def parse(text: str) -> Any:
        value = kind(text)
        if not 0 < value < 10**9:
            raise ValueError
        return value

    # argparse puts this name into its message: "invalid number above 0 value: '-1'".
    parse.__name__ = "whole number above 0" if kind is int else "number above 0"
    return parse
