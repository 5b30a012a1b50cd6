"""Publishing what the children's subscribers hear of, in whichever process."""

from django.db import transaction

from eda_django import outbox

# The value of a field that REDACT names in the children.
SECRET = "4111-1111-1111-1111"


def publish(kind: str, *behaviours: str) -> None:
    """Publish an event for each behaviour, all in one transaction."""
    with transaction.atomic():
        for behave in behaviours:
            outbox.publish(kind, {"behave": behave, "card": SECRET})
