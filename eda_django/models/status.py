"""The states of a delivery."""

from django.db import models


class Status(models.TextChoices):
    """The life of a delivery."""

    # Ordered, and not the head of its key.
    WAITING = "waiting"
    # To be pushed when due_at has come.
    PENDING = "pending"
    # In Redis, or on the way there, under a lease.
    QUEUED = "queued"
    # Its subscriber was started; in atomic mode its row is locked as long as that runs.
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    # Out of attempts; kept until an operator acts.
    DEAD = "dead"
    # Dropped, by an operator or by the subscriber.
    DISCARDED = "discarded"


FINISHED = (Status.SUCCEEDED, Status.DISCARDED)
CLAIMED = (Status.QUEUED, Status.RUNNING)
