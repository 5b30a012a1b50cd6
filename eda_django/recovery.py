"""What became of claims whose lease is over: slow, lost on the way, or dead with their worker."""

import logging

from . import conf
from .models import Delivery
from .models.locking import writing
from .registry import Registry
from .transport import Transport
from .verdicts import Verdict, judge_lost

logger = logging.getLogger("eda_django")


def recover_running(using: str, subscriptions: Registry, *, limit: int) -> int:
    """Record attempts as failed whose worker is gone; return how many. Frees their neighbours."""
    deliveries = Delivery.objects.using(using)
    verdicts: list[tuple[Delivery, Verdict]] = []
    with writing(using):
        for row in deliveries.lock_lapsed_running(limit):
            subscription = subscriptions.get(row.subscriber)
            verdict = judge_lost(row, retry=subscription.retry if subscription else None)
            deliveries.settle(row.pk, verdict.outcome, token=row.claim, then=None, lease=0.0)
            assert verdict.failed_attempt
            verdict.failed_attempt.save(using=using, force_insert=True)
            verdicts.append((row, verdict))
        if verdicts:
            # A worker runs one delivery at a time: with that one lost, the rest of its chunk is.
            tokens = {row.claim for row, _ in verdicts}
            deliveries.requeue(deliveries.queued_under(tokens))
    for row, verdict in verdicts:
        verdict.announce(row)
    return len(verdicts)


def recover_queued(using: str, transport: Transport, *, limit: int) -> int:
    """Let go on what is only slow, and send again what was lost; return how many rows changed."""
    deliveries = Delivery.objects.using(using)
    lapsed = deliveries.lapsed_queued(limit)
    claims = {row.claim: row.queue for row in lapsed}
    if not claims:
        return 0
    alive = deliveries.running_tokens() & claims.keys()
    alive |= transport.alive({t: queue for t, queue in claims.items() if t not in alive})
    on_their_way = [row for row in lapsed if row.claim in alive]
    lost = [row for row in lapsed if row.claim not in alive]
    with writing(using):
        extended = deliveries.extend(on_their_way, lease=conf.get("LEASE")) if on_their_way else 0
        again = deliveries.requeue(lost) if lost else 0
    if again:
        logger.info("deliveries were lost on the way and go again count=%s", again)
    return extended + again
