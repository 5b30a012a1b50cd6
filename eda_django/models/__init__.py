"""The rows. Every change of their state is a verb on a QuerySet here."""

from .attempt import Attempt
from .delivery import Delivery, Status
from .heartbeat import RelayHeartbeat
from .outbox import OutboxEvent
from .outlook import Outlook, look

__all__ = ["Attempt", "Delivery", "OutboxEvent", "Outlook", "RelayHeartbeat", "Status", "look"]
