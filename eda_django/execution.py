"""One delivery in a worker's hands: its subscriber, its event, and the call."""

import asyncio
import inspect
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from asgiref.sync import async_to_sync
from django.db import connections

from . import conf, payloads, signals
from .deadline import time_limit
from .events import Event, current_event, types
from .exceptions import InvalidSubscriber, SubscriberTimeout
from .models import Delivery
from .registry import Subscription
from .verdicts import Verdict, judge

# What a lease is longer by, in seconds, where neither a timeout nor a row lock limits an attempt.
NO_TIMEOUT = 86_400.0
# What is returned by a function of which nothing has run yet.
UNRUN = (inspect.isawaitable, inspect.isgenerator, inspect.isasyncgen)


def has_hooks(using: str) -> bool:
    """Return whether hooks of others run after the commit, for as long as they like.

    What that commit had started would be running meanwhile with no lock to show that its worker
    lives. The doorbell's ring takes no time.
    """
    ring = signals.ring(using)
    return any(entry[1] is not ring for entry in connections[using].run_on_commit)


@dataclass(slots=True, kw_only=True)
class Execution:
    """A delivery that can run here, because the code knows its subscriber."""

    row: Delivery
    subscription: Subscription
    # The seconds one attempt may take; None for no limit.
    timeout: float | None
    began_at: float = field(default=0.0)
    # What the subscriber raised, and what becomes of the delivery then.
    _judged: tuple[BaseException, Verdict] | None = field(default=None, init=False)
    # The parts of the event in which REDACT may name something, as far as they have been read.
    _secrets: list[Any] = field(default_factory=list, init=False)

    @property
    def pk(self) -> int:
        return self.row.pk

    @property
    def lease(self) -> float:
        """The seconds for which the relay must leave it alone once it is started.

        In atomic mode the row lock says that the worker lives. Without, only time can.
        """
        lease: float = conf.get("LEASE")
        return lease if self.subscription.atomic else lease + (self.timeout or NO_TIMEOUT)

    def begin(self) -> None:
        """Follow the count that the database made when it marked the row as running."""
        self.row.attempts += 1
        self.began_at = time.monotonic()

    def call(self) -> None:
        """Call the subscriber; what it publishes meanwhile is caused by this event.

        Raises UndecodablePayload if this code can't read the payload. It is read no sooner than
        now: reading, too, may kill the worker, and then a started attempt tells of it. Raises
        InvalidSubscriber if nothing has run.
        """
        event = self.row.event.envelope(self._decode(), attempt=self.row.attempts)
        token = current_event.set(event)
        try:
            if self.subscription.is_async:
                returned = async_to_sync(self._await)(event)
            else:
                with time_limit(self.timeout, self.subscription.name):
                    returned = self.subscription.subscriber(event)
        finally:
            current_event.reset(token)
        self._require_run(returned)

    def _decode(self) -> Any:
        stored = self.row.event
        if conf.get("REDACT"):
            # So that what must not be shown is known by the time that something fails.
            self._secrets = [stored.data, stored.headers]
        declared = types.get(stored.type)
        return payloads.decode_text(declared, version=stored.version, text=stored.json_of("data"))

    def _require_run(self, returned: Any) -> None:
        """Refuse what a decorator returns that hides an `async def`, or a generator, from us."""
        if any(is_one(returned) for is_one in UNRUN):
            # Unless it is closed, Python complains of it later.
            with suppress(AttributeError):
                returned.close()
            raise InvalidSubscriber(
                f"Subscriber {self.subscription.name!r} returned a {type(returned).__name__}, and "
                f"nothing has run: a decorator of it is not made for async functions, or for "
                f"generators. Leave it out, or have it await the function."
            )

    async def _await(self, event: Event[Any]) -> Any:
        try:
            async with asyncio.timeout(self.timeout) as limit:
                return await self.subscription.subscriber(event)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise SubscriberTimeout(
                f"Subscriber {self.subscription.name!r} took longer than its timeout, "
                f"{self.timeout:g} s."
            ) from error

    def judge(self, error: BaseException) -> None:
        """Decide what becomes of the delivery after its subscriber raised `error`."""
        self._judged = error, self._judge(error)

    def verdict(self, error: BaseException) -> Verdict:
        """Return what was decided after `error`, once; decide now if that is none of judge()'s."""
        # Not kept: an exception holds on to all that its frames hold.
        judged, self._judged = self._judged, None
        return judged[1] if judged and judged[0] is error else self._judge(error)

    def _judge(self, error: BaseException) -> Verdict:
        return judge(
            self.row,
            error,
            retry=self.subscription.retry,
            seconds=time.monotonic() - self.began_at,
            secrets=payloads.redacted_values(self._secrets),
        )
