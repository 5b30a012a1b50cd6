"""Workers that freeze in the middle of a chunk, and relays while they ask; in one process."""

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from django.db import connections

from eda_django.chunks import Chunk
from eda_django.consumer import consume
from eda_django.execution import Execution
from tests.relaying import Recorder

# Seconds in which a thread has come to where it stops, or to its end.
PATIENCE = 30.0

_thread = threading.local()


class FrozenWorker:
    """Runs a chunk in a thread, which stops when its `nth` delivery is started, until thaw().

    It holds no lock then: the start is committed, and the subscriber is not called yet. A chunk
    with fewer deliveries is run to its end.
    """

    def __init__(self, chunk: Chunk, *, nth: int = 1) -> None:
        self.chunk = chunk
        self.left = nth
        self.is_there, self.may_go_on = threading.Event(), threading.Event()
        self._pool = ThreadPoolExecutor(1)
        self._end = self._pool.submit(self._run)
        assert self.is_there.wait(PATIENCE)

    def thaw(self) -> int:
        """Go on to the end; return how many deliveries succeeded."""
        self.may_go_on.set()
        succeeded = self._end.result(PATIENCE)
        self._pool.shutdown()
        return succeeded

    def started(self) -> None:
        self.left -= 1
        if not self.left:
            self.is_there.set()
            assert self.may_go_on.wait(10 * PATIENCE)

    def _run(self) -> int:
        _thread.worker = self
        try:
            return consume(self.chunk.delivery_ids, token=self.chunk.token.hex)
        finally:
            self.is_there.set()
            connections.close_all()


@contextmanager
def freezing() -> Iterator[None]:
    """Let workers freeze between the commit that starts a delivery and what comes next."""
    begin = Execution.begin

    def begin_or_freeze(work: Any) -> None:
        begin(work)
        if worker := getattr(_thread, "worker", None):
            worker.started()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Execution, "begin", begin_or_freeze)
        yield


class Link(Recorder):
    """A transport that gives its answer late: something else may happen before."""

    meanwhile: Callable[[], None] | None = None

    def alive(self, claims: Mapping[UUID, str]) -> set[UUID]:
        answer = super().alive(claims)
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile:
            meanwhile()
        return answer
