"""Everything this library raises on purpose."""

from django.core.exceptions import ImproperlyConfigured

# About thirty years, which every database can add to a time.
MAX_SECONDS = 10**9


def first_line(error: BaseException, *, limit: int | None = None) -> str:
    """Return what an error says first; its class, if it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__qualname__])[0][:limit]


class EdaError(Exception):
    """Base of every error that this library raises."""


class NotInTransaction(EdaError):
    """publish() was called outside atomic(), where the event could outlive its cause."""


class InvalidEvent(EdaError, ValueError):
    """The event cannot be published: its name, payload or options are not what they must be."""


class UnknownDatabase(EdaError):
    """The database alias is not in settings.DATABASES."""


class UndecodablePayload(EdaError):
    """The running code cannot read this payload; newer (or older) code may."""


class InvalidEventType(EdaError, ImproperlyConfigured):
    """An event type is declared in a way that cannot work."""


class InvalidPublisher(EdaError, ImproperlyConfigured):
    """@publishes decorates something it cannot publish for."""


class InvalidSubscriber(EdaError, ImproperlyConfigured):
    """@subscribes decorates something that cannot be a subscriber."""


class SubscriberTimeout(EdaError):
    """The subscriber ran longer than its timeout."""


class StaleClaim(EdaError):
    """The delivery belongs to another claim by now; nothing was changed."""


class TransportUnavailable(EdaError):
    """The transport (Redis) cannot be reached just now."""


class RefusedJob(EdaError, ValueError):
    """A job in Redis is not one that this library, or the site, would have pushed."""


class BrokenJob(EdaError):
    """The consumer could not go on; the reason is in the worker's log, and not in Redis."""


class Discard(EdaError):
    """Raise in a subscriber to drop this delivery for good: `raise Discard("cancelled")`."""


class RetryLater(EdaError):
    """Raise in a subscriber to try again in `seconds`, without burning an attempt.

    Less than a second is taken for one.
    """

    def __init__(self, seconds: float, reason: str = "") -> None:
        is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
        if not is_number or not 0 <= seconds <= MAX_SECONDS:
            raise ValueError(
                f"RetryLater({seconds!r}) must be a number of seconds from 0 to {MAX_SECONDS:,}."
            )
        super().__init__(reason or f"retry in {seconds:g} s")
        self.seconds = float(seconds)
