"""Publish events with your data, and have them reach every subscriber, once in effect."""

from .decorators import publishes, subscribes
from .events import Event, event
from .exceptions import (
    Discard,
    EdaError,
    InvalidEvent,
    InvalidEventType,
    InvalidPublisher,
    InvalidSubscriber,
    NotInTransaction,
    RetryLater,
    UnknownDatabase,
)
from .outbox import apublish, publish, publish_many
from .retry import Retry
from .version import __version__

__all__ = [
    "Discard",
    "EdaError",
    "Event",
    "InvalidEvent",
    "InvalidEventType",
    "InvalidPublisher",
    "InvalidSubscriber",
    "NotInTransaction",
    "Retry",
    "RetryLater",
    "UnknownDatabase",
    "__version__",
    "apublish",
    "event",
    "publish",
    "publish_many",
    "publishes",
    "subscribes",
]
