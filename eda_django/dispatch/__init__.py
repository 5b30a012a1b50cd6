"""How deliveries reach workers, and commits reach relays: the only package that knows RQ."""

from .bell import doorbell, flush_doorbell, ring
from .connections import DEFAULT_TIMEOUT, default_queue
from .queues import QueueState, queue_states
from .rq_transport import RqTransport

__all__ = [
    "DEFAULT_TIMEOUT",
    "QueueState",
    "RqTransport",
    "default_queue",
    "doorbell",
    "flush_doorbell",
    "queue_states",
    "ring",
]
