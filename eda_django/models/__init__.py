"""The rows. Every change of their state is a verb on a QuerySet here."""

from .attempt import Attempt
from .delivery import Delivery
from .heartbeat import RelayHeartbeat
from .outbox import OutboxEvent
from .outlook import Outlook, look
from .status import Status

__all__ = ["Attempt", "Delivery", "OutboxEvent", "Outlook", "RelayHeartbeat", "Status", "look"]
