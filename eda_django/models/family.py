"""What caused an event, and what it caused: the events of one correlation id, as a tree."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from .outbox import OutboxEvent

# Events shown on either side of the one in question.
NEAREST = 100
# Deeper than this the branches stand side by side.
DEEPEST = 30


@dataclass(slots=True)
class Node:
    """An event of the tree, and what it caused."""

    event: Any
    children: "list[Node]" = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """The roots of the tree, all of its events, and whether it is larger than what is here."""

    roots: list[Node]
    events: list[Any]
    is_cut: bool


def family_of(event: OutboxEvent) -> Family:
    """Return the tree that the event is part of: its nearest relatives, in two statements."""
    rows: Any = OutboxEvent.objects.using(event._state.db).defer("data", "headers")
    rows = rows.filter(correlation_id=event.correlation_id)
    older = list(rows.filter(pk__lt=event.pk).order_by("-pk")[: NEAREST + 1])
    younger = list(rows.filter(pk__gte=event.pk).order_by("pk")[: NEAREST + 1])
    is_cut = len(older) > NEAREST or len(younger) > NEAREST
    events = [*reversed(older[:NEAREST]), *younger[:NEAREST]]
    return Family(roots=_tree(events), events=events, is_cut=is_cut)


def _tree(events: Iterable[Any]) -> list[Node]:
    roots: list[Node] = []
    nodes: dict[Any, tuple[Node, int]] = {}
    # In their order, so that a cause is there before its effects, and no circle closes.
    for event in events:
        node = Node(event)
        parent, depth = nodes.get(event.causation_id, (None, 0))
        if parent is None or depth >= DEEPEST:
            roots.append(node)
            depth = 0
        else:
            parent.children.append(node)
        nodes[event.event_id] = (node, depth + 1)
    return roots
