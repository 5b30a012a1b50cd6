"""Is everything well? One sentence, one colour."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..dispatch.queues import QueueState
from ..models import Status
from ..models.selection import ASIDE
from .display import or_more, since

# Seconds that an event may be under way before that is worth a word.
LATE = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """`tone`: good, odd or bad."""

    tone: str
    sentence: str
    rest: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """What the sentence depends on."""

    relays: int
    dead: int
    retrying: int
    # Events, and deliveries, that wait for other code or, the latter, for a queue.
    aside: int
    unready: int
    oldest: datetime | None
    # Where the console shows it, for whoever may see events.
    oldest_page: str
    is_late: bool
    # None if Redis does not answer.
    queues: list[QueueState] | None
    # Whether a relay that lives pushes to queues, and does not run the subscribers itself.
    needs_queues: bool
    # Leads to a page of the admin site, by its name.
    page: Callable[[str], str]
    # The counts above that are lower bounds, by their names.
    partial: frozenset[str] = frozenset()

    def many(self, name: str) -> int:
        """Return the number that the form of a word is chosen by."""
        count: int = getattr(self, name)
        return max(count, 2) if name in self.partial else count

    def shown(self, name: str) -> dict[str, str]:
        return {"count": or_more(getattr(self, name), is_partial=name in self.partial)}


def judge(signs: Signs) -> Health:
    """Return the worst there is to say as the sentence, and what else there is."""
    found = [*(("bad", text) for text in _bad(signs)), *(("odd", text) for text in _odd(signs))]
    if not found:
        return Health(tone="good", sentence=_("Everything is well."))
    (tone, sentence), *rest = found
    return Health(tone=tone, sentence=sentence, rest=tuple(text for _tone, text in rest))


def _bad(signs: Signs) -> Iterator[str]:
    if not signs.relays:
        yield _("No relay runs: nothing new is delivered, and nothing is retried.")
    # With no relay alive nobody knows whether one would need Redis: better a word too many.
    if signs.queues is None and (signs.needs_queues or not signs.relays):
        yield _("Redis does not answer: nothing reaches the workers.")
    away = [queue.name for queue in signs.queues or () if queue.is_away]
    if away and (signs.needs_queues or not signs.relays):
        yield ngettext(
            "The Redis of queue %(names)s does not answer: nothing reaches its workers.",
            "The Redis of queues %(names)s does not answer: nothing reaches their workers.",
            len(away),
        ) % {"names": ", ".join(away)}
    for queue in signs.queues or ():
        if queue.depth and not queue.workers:
            text = ngettext(
                "No worker takes jobs from queue %(name)s, where %(count)d waits.",
                "No worker takes jobs from queue %(name)s, where %(count)d wait.",
                queue.depth,
            ) % {"name": queue.name, "count": queue.depth}
            yield _link(signs, "delivery", text, status=Status.QUEUED, queue=queue.name)
    if signs.dead:
        text = ngettext(
            "%(count)s delivery is dead: nobody tries it again until you do.",
            "%(count)s deliveries are dead: nobody tries them again until you do.",
            signs.many("dead"),
        ) % signs.shown("dead")
        yield _link(signs, "failure", text)


def _odd(signs: Signs) -> Iterator[Any]:
    paused = [queue.name for queue in signs.queues or () if queue.is_paused]
    if paused:
        yield ngettext(
            "Queue %(names)s is paused: its workers start nothing until rqresume,"
            " or its time is up.",
            "Queues %(names)s are paused: their workers start nothing until rqresume,"
            " or their time is up.",
            len(paused),
        ) % {"names": ", ".join(paused)}
    if signs.is_late:
        text = _("The oldest undelivered event is %(time)s old.") % {"time": since(signs.oldest)}
        yield _linked(signs.oldest_page, text)
    if signs.retrying:
        text = ngettext(
            "%(count)s delivery failed and will be tried again.",
            "%(count)s deliveries failed and will be tried again.",
            signs.many("retrying"),
        ) % signs.shown("retrying")
        yield _link(signs, "failure", text)
    if signs.unready:
        text = ngettext(
            "%(count)s delivery waits for code or a queue that is not there.",
            "%(count)s deliveries wait for code or a queue that is not there.",
            signs.many("unready"),
        ) % signs.shown("unready")
        yield _link(signs, "delivery", text, error_class=ASIDE)
    if signs.aside:
        yield ngettext(
            "%(count)s event waits for code that knows its type.",
            "%(count)s events wait for code that knows their types.",
            signs.many("aside"),
        ) % signs.shown("aside")


def _link(signs: Signs, model: str, text: str, **query: str) -> str:
    """Return the sentence with the way to the list of what it speaks of."""
    page = signs.page(f"eda_django_{model}_changelist")
    return _linked(f"{page}?{urlencode(query)}" if query else page, text)


def _linked(page: str, text: str) -> str:
    return format_html('<a href="{}">{}</a>', page, text) if page else text
