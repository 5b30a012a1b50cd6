"""Is everything well? One sentence, one colour."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..dispatch import QueueState
from .display import since

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
    aside: int
    oldest: datetime | None
    is_late: bool
    # None if Redis does not answer.
    queues: list[QueueState] | None


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
    if signs.queues is None:
        yield _("Redis does not answer: nothing reaches the workers.")
    for queue in signs.queues or ():
        if queue.depth and not queue.workers:
            yield _("No worker takes jobs from queue %(name)s, where %(count)d wait.") % {
                "name": queue.name,
                "count": queue.depth,
            }
    if signs.dead:
        yield ngettext(
            "%(count)d delivery is dead: nobody tries it again until you do.",
            "%(count)d deliveries are dead: nobody tries them again until you do.",
            signs.dead,
        ) % {"count": signs.dead}


def _odd(signs: Signs) -> Iterator[Any]:
    if signs.is_late:
        yield _("The oldest undelivered event has waited for %(time)s.") % {
            "time": since(signs.oldest)
        }
    if signs.retrying:
        yield ngettext(
            "%(count)d delivery failed and will be tried again.",
            "%(count)d deliveries failed and will be tried again.",
            signs.retrying,
        ) % {"count": signs.retrying}
    if signs.aside:
        yield ngettext(
            "%(count)d event waits for code that knows its type.",
            "%(count)d events wait for code that knows their types.",
            signs.aside,
        ) % {"count": signs.aside}
