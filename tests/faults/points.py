"""The table: if X dies between Y and Z, then … It has the rows of the page on the guarantees.

Nine events are published. Each has a delivery for `faults.pair`, in three chunks of three on the
queue "default", and one for `faults.bystander` on the queue "slow". So the second event is in the
middle of a chunk, and it is there that workers die, unless the point says otherwise.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.faults.children import FORK, SIMPLE

EVENTS = 9
LOST, FAILED, EXITED = "eda_django.WorkerLost", "RuntimeError", "SystemExit"

Row = tuple[str, str]
Note = tuple[int, str]

PUBLISHING: Row = ("the publisher", "`publish()` and `COMMIT`")
RINGING: Row = ("the publisher", "`COMMIT` and the doorbell")
CLAIMING: Row = ("the relay", "claiming and its `COMMIT`")
COMMITTED: Row = ("the relay", "its `COMMIT` and the push")
PUSHING: Row = ("the relay", "the first and the last chunk of a push")
PUSHED: Row = ("the relay", "the push and whatever comes next")
RECOVERING: Row = ("the relay", "finding a lapsed lease and its `COMMIT`")
RECOVERED: Row = ("the relay", "taking back what was lost and pushing it")
PRUNING: Row = ("the relay", "deleting a finished event's rows and its `COMMIT`")
TAKING: Row = ("the worker", "taking the job and starting the subscriber")
RUNNING: Row = ("the worker", "the subscriber's start and its end")
ENDING: Row = ("the worker", "the subscriber's end and `COMMIT`")
NEXT: Row = ("the worker", "one `COMMIT` and the next subscriber's start")
BOOKKEEPING: Row = ("the worker", "the last `COMMIT` and RQ's own bookkeeping")
RECORDING: Row = ("the worker", "a failure and recording it")
RELEASING: Row = ("the worker", "a subscriber's `SystemExit` and giving the rest back")
BARE: Row = ("the worker, `atomic=False`", "the subscriber's start and the note that it succeeded")
HOOK: Row = ("the worker", "the commit and an `on_commit` hook")


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Where a process dies, what stands in the database then, and what became of it in the end."""

    row: Row
    dies: str
    # What has happened before the process starts that is to die; see Site in test_kill_points.py.
    given: str = "published"
    # How many deliveries are in which state when it has died, and how many jobs in the queues.
    then: Mapping[str, int] | None = None
    jobs: int | None = None
    # The failed attempts in the end, by the event's number: everything else took one attempt.
    failed: Mapping[int, str] = field(default_factory=dict)
    # What RQ still knows of jobs in the end, and where.
    left: Mapping[str, int] = field(default_factory=dict)
    kind: str = "faults.happened"
    # What the second event's first attempt does.
    behave: str = ""
    worker: str = SIMPLE
    queues: tuple[str, ...] = ("default", "slow")
    words: tuple[str, ...] = ()
    # Effects more or less than once: event number and note.
    doubled: tuple[Note, ...] = ()
    missing: tuple[Note, ...] = ()

    @property
    def name(self) -> str:
        parts = [self.dies.replace(", ", " "), self.given if self.given != "published" else ""]
        parts += [self.behave, self.kind.removeprefix("faults.happened"), *self.words]
        parts += [
            "fork" if self.worker == FORK else "",
            *(self.queues if len(self.queues) == 1 else ()),
        ]
        return "-".join(filter(None, parts)).replace(" ", "_").replace("#", "")


ALL = 2 * EVENTS
CHUNKS = 6
STARTED = {"started": 1}

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
    Point(row=RECOVERED, given="queued", dies="after extend", then={"queued": ALL}, jobs=CHUNKS),
    Point(
        row=RECOVERED,
        given="queued",
        dies="after extend, after COMMIT",
        then={"queued": ALL},
        jobs=CHUNKS,
    ),
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
        "before prune, after raw_delete",
        "before prune, after raw_delete #2",
        "before prune, after raw_delete #3",
        "after prune, before COMMIT",
        "after prune, after COMMIT",
    )
)

IN_THE_SECOND = {"succeeded": 1, "running": 1, "queued": 16}
IN_THE_THIRD = {"succeeded": 2, "running": 1, "queued": 15}

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
        then={"succeeded": 2, "running": 1, "queued": 6},
        jobs=2,
        failed={3: LOST},
        missing=((2, "hook"),),
        left=STARTED,
    ),
    # The work horse dies, and its worker tells RQ of it and goes on.
    *(
        Point(row=row, worker=FORK, dies=dies, failed=failed, left={"failed": 1})
        for row, dies, failed in (
            (TAKING, "before start", {}),
            (RUNNING, "after write #3", {2: LOST}),
            (ENDING, "after settle #2, before COMMIT", {2: LOST}),
            (NEXT, "after settle #2, after COMMIT", {3: LOST}),
            (BOOKKEEPING, "after consume", {}),
        )
    ),
)
