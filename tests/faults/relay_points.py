"""If the publisher or the relay dies between Y and Z, then …"""

from tests.faults.points import (
    ALL,
    CHUNKS,
    CLAIMING,
    COMMITTED,
    EVENTS,
    LOST,
    PRUNING,
    PUBLISHING,
    PUSHED,
    PUSHING,
    RECOVERED,
    RECOVERING,
    RINGING,
    RUNNING,
    STARTED,
    Point,
)

PUBLISHER = (
    Point(row=PUBLISHING, dies="after publish #9, before COMMIT", then={}),
    Point(row=RINGING, dies="after publish #9, after COMMIT", then={}),
)

RELAY = (
    # Fanning out new events.
    Point(row=CLAIMING, dies="after lock_fresh", then={}, jobs=0),
    Point(row=CLAIMING, dies="after create_queued", then={}, jobs=0),
    Point(row=CLAIMING, dies="after mark_relayed, before COMMIT", then={}, jobs=0),
    Point(row=COMMITTED, dies="after mark_relayed, after COMMIT", then={"queued": ALL}, jobs=0),
    Point(row=COMMITTED, dies="before push, halfway MULTI", then={"queued": ALL}, jobs=0),
    Point(row=PUSHING, dies="before push, after enqueue_many", then={"queued": ALL}, jobs=3),
    Point(row=PUSHING, dies="before push, halfway MULTI #2", then={"queued": ALL}, jobs=3),
    Point(row=PUSHED, dies="after push", then={"queued": ALL}, jobs=CHUNKS),
    # Gathering what comes for a queue that is behind, and claiming that together.
    Point(row=CLAIMING, given="behind", dies="after create_pending", then={}, jobs=0),
    Point(
        row=COMMITTED,
        given="behind",
        dies="after create_pending, after COMMIT",
        then={"pending": EVENTS, "queued": EVENTS},
        jobs=0,
    ),
    Point(
        row=CLAIMING,
        given="behind",
        dies="after create_pending, after claim_due, before COMMIT",
        then={"pending": EVENTS, "queued": EVENTS},
        jobs=3,
    ),
    Point(
        row=COMMITTED,
        given="behind",
        dies="after create_pending, after claim_due, after COMMIT",
        then={"queued": ALL},
        jobs=3,
    ),
    # Pushing again what is due.
    Point(
        row=CLAIMING,
        given="given back",
        dies="after claim_due, before COMMIT",
        then={"pending": ALL},
        jobs=0,
    ),
    Point(
        row=COMMITTED,
        given="given back",
        dies="after claim_due, after COMMIT",
        then={"queued": ALL},
        jobs=0,
    ),
    Point(row=PUSHED, given="given back", dies="after push", then={"queued": ALL}, jobs=CHUNKS),
    # Asking what became of claims.
    Point(row=RECOVERED, given="queued", dies="after alive", then={"queued": ALL}, jobs=CHUNKS),
    Point(row=RECOVERED, given="emptied", dies="after alive", then={"queued": ALL}, jobs=0),
    Point(row=RECOVERED, given="emptied", dies="after requeue", then={"queued": ALL}, jobs=0),
    Point(
        row=RECOVERED,
        given="emptied",
        dies="after requeue, after COMMIT",
        then={"pending": ALL},
        jobs=0,
    ),
    *(
        Point(
            row=RECOVERING,
            given="worker lost",
            dies=dies,
            then={"succeeded": 1, "running": 1, "queued": 16},
            jobs=5,
            failed={2: LOST},
            left=STARTED,
        )
        for dies in (
            "after lock_lapsed_running",
            "after lock_lapsed_running, after save_attempt",
            "after lock_lapsed_running, after requeue, before COMMIT",
        )
    ),
    Point(
        row=RECOVERED,
        given="worker lost",
        dies="after lock_lapsed_running, after requeue, after COMMIT",
        then={"succeeded": 1, "pending": 2, "queued": 15},
        jobs=5,
        failed={2: LOST},
        left=STARTED,
    ),
    # A relay that is its own worker.
    Point(
        row=RUNNING,
        words=("--inline",),
        dies="after write #3",
        then={"succeeded": 1, "running": 1, "queued": 16},
        jobs=0,
        failed={2: LOST},
    ),
)

PRUNE = tuple(
    Point(row=PRUNING, dies=dies)
    for dies in (
        "before prune, after delete",
        "before prune, after delete #2",
        "before prune, after delete #3",
        "after prune, before COMMIT",
        "after prune, after COMMIT",
    )
)
