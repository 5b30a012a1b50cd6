"""The rows. Every change of their state is a verb on a QuerySet here."""

from .attempt import Attempt
from .bulk_operation import BulkOperation
from .console_pages import CatalogueEntry, Failure, Overview
from .delivery import Delivery
from .delivery_insertion import NewDelivery
from .event_insertion import NewEvent, insert_events
from .heartbeat import RelayHeartbeat
from .note import FailureNote
from .outbox import FreshEvent, OutboxEvent
from .outlook import Outlook, look
from .status import FINISHED, Status

__all__ = [
    "FINISHED",
    "Attempt",
    "BulkOperation",
    "CatalogueEntry",
    "Delivery",
    "Failure",
    "FailureNote",
    "FreshEvent",
    "NewDelivery",
    "NewEvent",
    "OutboxEvent",
    "Outlook",
    "Overview",
    "RelayHeartbeat",
    "Status",
    "insert_events",
    "look",
]
