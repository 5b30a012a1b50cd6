"""Where processes die: the rows of the table are those of the page on the guarantees.

The points themselves are in relay_points.py, with the publisher's, and in worker_points.py.

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
