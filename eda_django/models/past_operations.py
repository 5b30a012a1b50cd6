"""Which bulk operations a delivery may owe its state to.

None is written down for each delivery: one operation may be about a million of them.
"""

from collections.abc import Sequence

from .bulk_operation import BulkOperation, Verb
from .delivery import Delivery
from .operator_verbs import BY_OPERATOR
from .outbox import OutboxEvent
from .selection import Selection, as_uuid
from .status import Status

# The newest operations, among which those are looked for.
LATEST = 100

Past = tuple[BulkOperation, Sequence[Delivery]]


def past_operations(event: OutboxEvent, deliveries: Sequence[Delivery]) -> list[Past]:
    """Return the latest operations that these deliveries of an event may owe their state to.

    Each with those of the deliveries that it is about; one statement. They are told by number,
    filter, time and error, so a retry may be among them that came upon nothing to do for these. One
    that ended without having done anything to any is not.
    """
    if not deliveries:
        return []
    newest = BulkOperation.objects.using(event._state.db).order_by("-pk")[:LATEST]
    found: list[Past] = []
    for operation in newest:
        if operation.finished_at and not operation.changed:
            continue
        met = [one for one in deliveries if may_have_changed(operation, one, event)]
        if met:
            found.append((operation, met))
    return found


def may_have_changed(operation: BulkOperation, delivery: Delivery, event: OutboxEvent) -> bool:
    """Whether the operation went past the delivery, and nothing speaks against its doing."""
    if not operation.first_id <= delivery.pk < operation.next_id:
        return False
    if not operation.is_readable:
        return False
    selection = Selection.of(operation.selection)
    is_meant = _is_meant(selection, delivery, event)
    return is_meant and _fits(operation, selection, delivery)


def _is_meant(selection: Selection, delivery: Delivery, event: OutboxEvent) -> bool:
    """Whether the filter has the delivery, whatever its state was."""
    for name in ("subscriber", "queue", "fingerprint"):
        if getattr(selection, name) not in ("", getattr(delivery, name)):
            return False
    if selection.until_event and event.pk >= selection.until_event:
        return False
    if not selection.search:
        return True
    is_found = as_uuid(selection.search) == event.event_id
    return is_found or selection.search in (event.key, str(delivery.pk))


def _fits(operation: BulkOperation, selection: Selection, delivery: Delivery) -> bool:
    """Whether the delivery looks as if the verb may have been done to it then."""
    ended = delivery.finished_at
    if ended and ended < operation.created_at:
        return False
    if operation.verb != Verb.DISCARD:
        # What never failed had nothing to be retried. An error stays after a later success; to
        # discard puts another in its place.
        kinds = selection.error_classes
        return delivery.error_class in kinds if kinds else bool(delivery.error_class)
    if (delivery.error_class, delivery.error_text) != (BY_OPERATOR, operation.reason):
        return False
    is_discarded = delivery.status == Status.DISCARDED
    return not (is_discarded and ended and operation.finished_at and ended > operation.finished_at)
