"""@publishes and @subscribes: check what they decorate, register it, hand the function back."""

from .publishing import publishes
from .subscribing import subscribes

__all__ = ["publishes", "subscribes"]
