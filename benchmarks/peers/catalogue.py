"""Which peers there are, what each needs, and what it can't do."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

# What every peer's environment has beside the peer.
COMMON = ("psycopg[binary]>=3.2", "dj-database-url>=2.2", "redis>=5.0")

NO_BULK = "has no call that publishes several events at once"
RELAY_WORKS = "has no relay apart from its worker, which P6 measures"
NO_RELAY = "has no relay: the request pushes, or the worker looks for itself"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A package on PyPI, at the version that its site here was written for."""

    name: str
    # The site's module in benchmarks.peers.sites, and its schema in the database.
    site: str
    requirements: tuple[str, ...]
    licence: str
    python: tuple[int, int] = (3, 10)
    # The measures in which it has no part, and why.
    blank: Mapping[str, str] = field(default_factory=dict)
    # The measures for which it needs a broker that speaks STOMP.
    stomp: tuple[str, ...] = ()

    @property
    def packages(self) -> list[str]:
        """Return the packages whose versions the report names."""
        return [re.split(r"[\[=<>~!]", word)[0] for word in self.requirements]


PEERS = (
    Peer(
        name="django-domain-events",
        site="domain_events",
        requirements=("django-domain-events==0.14.1",),
        licence="MIT",
        blank={"P2": NO_BULK, "P3": RELAY_WORKS},
    ),
    Peer(
        name="django-reliable-outbox",
        site="reliable_outbox",
        requirements=("django-reliable-outbox==0.1.1",),
        licence="MIT",
        python=(3, 12),
        blank={"P2": NO_BULK, "P3": RELAY_WORKS},
    ),
    Peer(
        name="django-celery-outbox",
        site="celery_outbox",
        requirements=("django-celery-outbox==0.4.3", "celery[redis]==5.6.*"),
        licence="MIT",
        blank={"P2": NO_BULK},
    ),
    Peer(
        name="django-outbox-pattern",
        site="outbox_pattern",
        requirements=("django-outbox-pattern==3.2.1",),
        licence="MIT",
        blank={"P2": NO_BULK},
        stomp=("P3", "P6", "P7"),
    ),
    Peer(
        name="procrastinate",
        site="procrastinate_site",
        requirements=("procrastinate==3.10.0",),
        licence="MIT",
        blank={"P3": NO_RELAY},
    ),
    Peer(
        name="Celery, delay_on_commit",
        site="celery_on_commit",
        requirements=("celery[redis]==5.7.0",),
        licence="BSD-3-Clause",
        blank={"P2": NO_BULK, "P3": NO_RELAY},
    ),
)
