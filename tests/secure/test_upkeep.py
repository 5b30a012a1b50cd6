"""RQ's upkeep of jobs that a secure worker can't trust."""

import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from rq import Queue, SimpleWorker, Worker
from rq.job import Job
from rq.serializers import JSONSerializer

from eda_django.secure import SecureJob, SecureSimpleWorker, SecureWorker
from tests.attacker import UNLISTED, call, forge, pickled
from tests.secure.refused import reason, work
from tests.world import LISTED


class TestUpkeep:
    """A worker reads jobs in its upkeep, too, and there RQ would call what they name."""

    @pytest.fixture
    def worker(self, redis_client: Any) -> SecureWorker:
        """Return a worker as `rqworker-pool` makes it: its queues know no class, no serializer."""
        queue = Queue("fast", connection=redis_client)
        return SecureWorker(
            [queue], connection=redis_client, job_class=Job, serializer="pickle_not_wanted"
        )

    def test_pools_worker_has_secure_queues(self, worker: SecureWorker) -> None:
        [queue] = worker.queues
        assert (worker.job_class, queue.job_class) == (SecureJob, SecureJob)
        assert (worker.serializer, queue.serializer) == (JSONSerializer, JSONSerializer)

    @pytest.mark.parametrize("meta", [False, True])
    def test_abandoned_job(
        self, redis_client: Any, worker: SecureWorker, trap: Path, meta: bool
    ) -> None:
        fields: Any = {"meta": pickled(trap)} if meta else {"failure_callback_name": UNLISTED}
        job_id = forge(redis_client, call(LISTED, "x"), status="started", **fields)
        redis_client.delete("rq:queue:fast")
        redis_client.zadd("rq:wip:fast", {f"{job_id}:1": 1})
        worker.clean_registries()
        assert redis_client.hget(f"rq:job:{job_id}", "status") == b"failed"

    @pytest.mark.parametrize("needs", [b"5", b'{"a": 1}'])
    def test_abandoned_job_with_needs_that_are_no_list(
        self, redis_client: Any, worker: SecureWorker, needs: bytes
    ) -> None:
        """RQ would break off before it takes the job out, each time."""
        job_id = forge(redis_client, call(LISTED), status="started", dependency_ids=needs)
        redis_client.zadd("rq:wip:fast", {f"{job_id}:1": 1})
        worker.clean_registries()
        assert redis_client.hget(f"rq:job:{job_id}", "status") == b"failed"
        assert not redis_client.zcard("rq:wip:fast")

    def test_job_that_is_stuck_on_the_way(
        self, redis_client: Any, worker: SecureWorker, trap: Path
    ) -> None:
        fields: Any = {"failure_callback_name": UNLISTED, "meta": pickled(trap)}
        job_id = forge(redis_client, call(LISTED, "x"), **fields)
        redis_client.delete("rq:queue:fast")
        redis_client.rpush("rq:queue:fast:intermediate", job_id)
        redis_client.set(f"rq:queue:fast:intermediate:first_seen:{job_id}", time.time() - 100)
        worker.clean_registries()
        assert redis_client.hget(f"rq:job:{job_id}", "status") == b"failed"

    def test_scheduled_job(self, redis_client: Any, trap: Path) -> None:
        """RQ's scheduler knows no job class; it reads JSON, and the worker judges."""
        job_id = forge(redis_client, call("os.mkdir", str(trap)))
        redis_client.delete("rq:queue:fast")
        redis_client.zadd("rq:scheduled:fast", {job_id: 1})
        work(with_scheduler=True)
        assert "'os.mkdir' is not in" in reason(redis_client, job_id)

    def test_pickle_in_a_scheduled_job(self, redis_client: Any, trap: Path) -> None:
        job_id = forge(redis_client, call("os.getpid"), meta=pickled(trap))
        redis_client.zadd("rq:scheduled:fast", {job_id: 1})
        # RQ 2 can't write it back, and its scheduler ends.
        with suppress(TypeError):
            work(with_scheduler=True)

    def test_worker_with_another_job_class_of_the_site(self, redis_client: Any) -> None:
        class Own(SecureJob):
            pass

        worker = SecureSimpleWorker(["fast"], connection=redis_client, job_class=Own)
        assert (worker.job_class, worker.queues[0].job_class) == (Own, Own)


def test_workers_ask_a_redis_that_is_away_every_few_seconds() -> None:
    """RQ's own wait for up to a minute, also after it is back."""
    for kind, plain in ((SecureWorker, Worker), (SecureSimpleWorker, SimpleWorker)):
        assert kind.max_connection_wait_time == 4.0 < plain.max_connection_wait_time
