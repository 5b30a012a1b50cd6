"""The states of a delivery."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Status(models.TextChoices):
    """The life of a delivery."""

    # Ordered, and not the head of its key.
    WAITING = "waiting", _("Waiting")
    # To be pushed when due_at has come.
    PENDING = "pending", _("Pending")
    # In Redis, or on the way there, under a lease.
    QUEUED = "queued", _("Queued")
    # Its subscriber was started; in atomic mode its row is locked as long as that runs.
    RUNNING = "running", _("Running")
    SUCCEEDED = "succeeded", _("Succeeded")
    # Out of attempts; kept until an operator acts.
    DEAD = "dead", _("Dead")
    # Dropped, by an operator or by the subscriber.
    DISCARDED = "discarded", _("Discarded")


class OperationStatus(models.TextChoices):
    """The life of a bulk operation."""

    # A relay does a batch of it at each turn.
    RUNNING = "running", _("Running")
    DONE = "done", _("Done")
    CANCELLED = "cancelled", _("Cancelled")


# Of what is pending: it failed before.
RETRYING = "retrying"

# Why a delivery was put aside: no running code, or no queue, can deal with it now.
UNKNOWN_SUBSCRIBER = "eda_django.UnknownSubscriber"
UNDECODABLE = "eda_django.UndecodablePayload"
UNPUSHABLE = "eda_django.Unpushable"
SET_ASIDE = (UNKNOWN_SUBSCRIBER, UNDECODABLE, UNPUSHABLE)

FINISHED = (Status.SUCCEEDED, Status.DISCARDED)
CLAIMED = (Status.QUEUED, Status.RUNNING)
