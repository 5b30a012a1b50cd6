"""If the worker dies between Y and Z, then …"""

from tests.faults.children import FORK
from tests.faults.points import (
    ALL,
    BARE,
    BOOKKEEPING,
    ENDING,
    EXITED,
    FAILED,
    HOOK,
    LOST,
    NEXT,
    RECORDING,
    RELEASING,
    RUNNING,
    STARTED,
    TAKING,
    Point,
)

IN_THE_SECOND = {"succeeded": 1, "running": 1, "queued": 16}

WORKER = (
    Point(row=TAKING, dies="after lpop", then={"queued": ALL}, jobs=5),
    Point(
        row=TAKING,
        dies="after lmove",
        queues=("default",),
        then={"queued": ALL},
        jobs=5,
        left={"intermediate": 1},
    ),
    Point(row=TAKING, dies="before perform_job", then={"queued": ALL}, jobs=5, left=STARTED),
    Point(row=TAKING, dies="before start", then={"queued": ALL}, jobs=5, left=STARTED),
    Point(
        row=RUNNING,
        dies="after start",
        then={"running": 1, "queued": 17},
        jobs=5,
        failed={1: LOST},
        left=STARTED,
    ),
    *(
        Point(row=row, dies=dies, then=IN_THE_SECOND, jobs=5, failed={2: LOST}, left=STARTED)
        for row, dies in (
            (RUNNING, "before call #2"),
            (RUNNING, "before write #3"),
            (RUNNING, "after write #3"),
            (RUNNING, "after write #4"),
            (ENDING, "after call #2"),
            (ENDING, "after settle #2"),
            (ENDING, "after settle #2, before COMMIT"),
            (NEXT, "after settle #1, after COMMIT"),
            (NEXT, "after lock_running #2"),
        )
    ),
    Point(
        row=BOOKKEEPING,
        dies="after settle #3, after COMMIT",
        then={"succeeded": 3, "queued": 15},
        jobs=5,
        left=STARTED,
    ),
    Point(
        row=BOOKKEEPING,
        dies="after consume",
        then={"succeeded": 3, "queued": 15},
        jobs=5,
        left=STARTED,
    ),
    Point(
        row=BOOKKEEPING,
        dies="after job_success",
        then={"succeeded": 3, "queued": 15},
        jobs=5,
    ),
    # The second event's first attempt fails, or ends its worker.
    *(
        Point(
            row=RECORDING,
            behave="fail",
            dies=dies,
            then=IN_THE_SECOND,
            jobs=5,
            failed={2: LOST},
            left=STARTED,
        )
        for dies in ("before settle #2", "after settle #2", "after save_attempt, before COMMIT")
    ),
    Point(
        row=NEXT,
        behave="fail",
        dies="after save_attempt, after COMMIT",
        then={"succeeded": 1, "pending": 1, "running": 1, "queued": 15},
        jobs=5,
        failed={2: FAILED, 3: LOST},
        left=STARTED,
    ),
    Point(
        row=RELEASING,
        behave="exit",
        dies="before release",
        then={"succeeded": 1, "pending": 1, "queued": 16},
        jobs=5,
        failed={2: EXITED},
        left=STARTED,
    ),
    Point(
        row=RELEASING,
        behave="exit",
        dies="after release",
        then={"succeeded": 1, "pending": 2, "queued": 15},
        jobs=5,
        failed={2: EXITED},
        left=STARTED,
    ),
    # Without a transaction around the subscriber.
    Point(
        row=BARE,
        kind="faults.bare",
        dies="after write #3",
        then={"succeeded": 1, "running": 1, "queued": 7},
        jobs=2,
        failed={2: LOST},
        doubled=((2, "first"),),
        left=STARTED,
    ),
    Point(
        row=BARE,
        kind="faults.bare",
        dies="after call #2",
        then={"succeeded": 1, "running": 1, "queued": 7},
        jobs=2,
        failed={2: LOST},
        doubled=((2, "first"), (2, "second")),
        left=STARTED,
    ),
    Point(
        row=NEXT,
        kind="faults.bare",
        dies="after settle #2",
        then={"succeeded": 2, "running": 1, "queued": 6},
        jobs=2,
        failed={3: LOST},
        left=STARTED,
    ),
    Point(
        row=HOOK,
        kind="faults.hooked",
        dies="after settle #2, after COMMIT",
        then={"succeeded": 2, "queued": 7},
        jobs=2,
        missing=((2, "hook"),),
        left=STARTED,
    ),
    # The work horse dies, and its worker tells RQ of it and does the other chunks.
    *(
        Point(
            row=row,
            worker=FORK,
            dies=dies,
            then={"succeeded": ALL - sum(open_.values()), **open_},
            jobs=0,
            failed=failed,
            left={"failed": 1},
        )
        for row, dies, open_, failed in (
            (TAKING, "before start", {"queued": 3}, {}),
            (RUNNING, "after write #3", {"running": 1, "queued": 1}, {2: LOST}),
            (ENDING, "after settle #2, before COMMIT", {"running": 1, "queued": 1}, {2: LOST}),
            (NEXT, "after settle #2, after COMMIT", {"running": 1}, {3: LOST}),
            (BOOKKEEPING, "after consume", {}, {}),
        )
    ),
)
