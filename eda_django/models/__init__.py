"""The rows. Every change of their state is a verb on a QuerySet here."""

from .attempt import Attempt
from .delivery import Delivery
from .heartbeat import RelayHeartbeat
from .insertion import NewDelivery
from .outbox import FreshEvent, OutboxEvent
from .outlook import Outlook, look
from .status import Status

__all__ = [
    "Attempt",
    "Delivery",
    "FreshEvent",
    "NewDelivery",
    "OutboxEvent",
    "Outlook",
    "RelayHeartbeat",
    "Status",
    "look",
]
