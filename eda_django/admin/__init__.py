"""What operators see and do in the Django admin."""

from .catalogue import CatalogueAdmin
from .deliveries import DeliveryAdmin
from .events import EventAdmin
from .failures import FailureAdmin
from .operations import OperationAdmin
from .overview import OverviewAdmin
from .relays import RelayAdmin

__all__ = [
    "CatalogueAdmin",
    "DeliveryAdmin",
    "EventAdmin",
    "FailureAdmin",
    "OperationAdmin",
    "OverviewAdmin",
    "RelayAdmin",
]
