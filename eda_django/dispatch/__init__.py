"""How deliveries reach workers, and commits reach relays: the only package that knows RQ."""

from .bell import doorbell, flush_doorbell, ring
from .connections import default_queue, default_timeout, limit_of

__all__ = [
    "default_queue",
    "default_timeout",
    "doorbell",
    "flush_doorbell",
    "limit_of",
    "ring",
]
