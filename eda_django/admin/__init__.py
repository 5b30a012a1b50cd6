"""What operators see in the Django admin."""

from .lists import AttemptInline, DeliveryAdmin, EventAdmin, RelayAdmin

__all__ = ["AttemptInline", "DeliveryAdmin", "EventAdmin", "RelayAdmin"]
