"""What SecureJob lets a worker run, and what becomes of everything else that Redis holds."""

import json
import re
import socket
import time
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import django_rq
import pytest
from django.core import checks as django_checks
from rq import Callback, Queue, SimpleWorker
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.worker import Worker

from eda_django import checks, secure
from eda_django.chunks import JOB
from eda_django.exceptions import RefusedJob
from eda_django.secure import SecureJob, SecureSimpleWorker, SecureWorker
from tests import attacker
from tests.attacker import LISTED, UNLISTED, call, consume_call, forge, pickled

JSON = "rq.serializers.JSONSerializer"
TOKEN = "0" * 32


@pytest.fixture(autouse=True)
def secured(settings: Any) -> None:
    """Configure the site as the docs tell to."""
    settings.RQ = attacker.SECURE
    settings.RQ_QUEUES = {n: {**q, "SERIALIZER": JSON} for n, q in settings.RQ_QUEUES.items()}
    settings.EDA_DJANGO = {**settings.EDA_DJANGO, "ALLOWED_JOBS": [LISTED]}


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the path of what must not exist after the test."""
    path = tmp_path / "sprung"
    monkeypatch.setenv("EDA_TEST_TRAP", str(path))
    yield path
    assert not path.exists(), "something ran that must not run"


def work(*queues: str, **options: Any) -> None:
    django_rq.get_worker(*queues or ("fast",)).work(burst=True, **options)


def reason(client: Any, job_id: str) -> str:
    """Return why a job has failed; it must have, and must not be waiting again."""
    assert client.hget(f"rq:job:{job_id}", "status") == b"failed"
    assert not client.llen("rq:queue:fast")
    assert client.zscore("rq:failed:fast", job_id)
    [(_, result)] = client.xrevrange(f"rq:results:{job_id}", count=1)
    text = attacker.unpacked(b64decode(result[b"exc_string"])).decode()
    return text.strip().splitlines()[-1]


class TestWhatRuns:
    def test_listed_function_runs(self, redis_client: Any, tmp_path: Path) -> None:
        queue = django_rq.get_queue("fast")
        queue.enqueue(attacker.leave_a_file, str(tmp_path / "mine"))
        work()
        assert (tmp_path / "mine").exists()

    @pytest.mark.django_db(transaction=True)
    def test_consumer_runs(self, redis_client: Any) -> None:
        job_id = forge(redis_client, consume_call([1], token=TOKEN), result_ttl="500")
        work()
        assert redis_client.hget(f"rq:job:{job_id}", "status") == b"finished"

    def test_listed_callback_runs(self, redis_client: Any, settings: Any, trap: Path) -> None:
        settings.EDA_DJANGO = {**settings.EDA_DJANGO, "ALLOWED_JOBS": [LISTED, UNLISTED]}
        forge(redis_client, call(LISTED, str(trap)), success_callback_name=UNLISTED)
        work()
        assert trap.exists()
        trap.unlink()

    def test_what_is_enqueued_is_json(self, redis_client: Any) -> None:
        job = django_rq.get_queue("fast", serializer="rq.serializers.DefaultSerializer").enqueue(
            attacker.leave_a_file, "x", meta={"a": 1}
        )
        stored = redis_client.hgetall(f"rq:job:{job.id}")
        assert json.loads(zlib.decompress(stored[b"data"])) == [LISTED, None, ["x"], {}]
        assert json.loads(stored[b"meta"]) == {"a": 1}


class TestEnqueue:
    """What would be refused is refused where it is written, not in a worker at night."""

    @pytest.mark.parametrize(
        ("function", "options", "problem"),
        [
            (attacker.spring, {}, "'tests.attacker.spring' is not in EDA_DJANGO['ALLOWED_JOBS']"),
            ("".join, {}, "is not in EDA_DJANGO"),
            (LISTED, {"on_success": Callback(UNLISTED)}, "its callback 'tests.attacker.spring'"),
        ],
    )
    def test_unlisted_function(
        self, redis_client: Any, function: Any, options: dict[str, Any], problem: str
    ) -> None:
        with pytest.raises(RefusedJob) as caught:
            django_rq.get_queue("fast").enqueue(function, **options)
        assert problem in str(caught.value)
        assert not redis_client.keys("rq:job:*")


class TestRefusals:
    """Each ends as failed, says why, and runs nothing; what follows in the queue runs."""

    def test_unlisted_function(self, redis_client: Any, trap: Path) -> None:
        job_id = forge(redis_client, call("os.mkdir", str(trap)))
        work()
        assert reason(redis_client, job_id) == (
            f"eda_django.exceptions.RefusedJob: Job {job_id!r} was refused: "
            f"'os.mkdir' is not in EDA_DJANGO['ALLOWED_JOBS']."
        )

    @pytest.mark.parametrize("pack", [bytes, zlib.compress])
    def test_pickled_call(self, redis_client: Any, trap: Path, pack: Any) -> None:
        job_id = forge(redis_client, pack(pickled(trap)))
        work()
        assert "it can't be read as JSON (UnicodeDecodeError)" in reason(redis_client, job_id)

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize("field", ["meta", "result"])
    def test_pickle_elsewhere_is_not_read(self, redis_client: Any, trap: Path, field: str) -> None:
        """Nothing but the call is needed, so that the job runs, and the rest is left unread."""
        fields: Any = {field: pickled(trap)}
        forge(redis_client, consume_call([1], token=TOKEN), **fields)
        work()
        assert not redis_client.zcard("rq:failed:fast")

    def test_pickled_result_is_not_read(self, redis_client: Any, trap: Path) -> None:
        job_id = forge(redis_client, call(LISTED, "x"))
        value = b64encode(pickled(trap))
        fields: dict[Any, Any] = {"type": 1, "created_at": time.time(), "return_value": value}
        redis_client.xadd(f"rq:results:{job_id}", fields)
        job = django_rq.get_queue("fast").fetch_job(job_id)
        assert job is not None
        with pytest.raises(UnicodeDecodeError):
            job.return_value()

    @pytest.mark.parametrize("kind", ["success", "failure", "stopped"])
    @pytest.mark.parametrize("function", [LISTED, "os.mkdir"])
    def test_unlisted_callback(
        self, redis_client: Any, trap: Path, kind: str, function: str
    ) -> None:
        """The name of a callback is a function path, too. The job itself does not run either."""
        name: Any = {f"{kind}_callback_name": UNLISTED}
        job_id = forge(redis_client, call(function, str(trap)), **name)
        work()
        assert "is not in EDA_DJANGO['ALLOWED_JOBS']." in reason(redis_client, job_id)

    @pytest.mark.parametrize("kind", ["success", "failure", "stopped"])
    def test_consumer_is_no_callback(self, redis_client: Any, trap: Path, kind: str) -> None:
        name: Any = {f"{kind}_callback_name": JOB}
        job_id = forge(redis_client, call(LISTED, str(trap)), **name)
        work()
        assert f"its callback '{JOB}' is not in" in reason(redis_client, job_id)

    def test_method_of_something_from_redis(self, redis_client: Any, trap: Path) -> None:
        """RQ would take the method of this name from what stands beside it."""
        job_id = forge(redis_client, json.dumps([LISTED, "some text", [str(trap)], {}]).encode())
        work()
        assert "it calls a method of something that came from Redis" in reason(redis_client, job_id)

    def test_webhook(self, redis_client: Any, tmp_path: Path) -> None:
        """RQ 3 would have the worker call any URL. RQ 2 knows none, and runs the job."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            hook = {"url": f"http://127.0.0.1:{server.getsockname()[1]}/", "timeout": 1}
            hooks = json.dumps([{**hook, "job_status": s} for s in ("finished", "failed")])
            job_id = forge(redis_client, call(LISTED, str(tmp_path / "mine")), webhooks=hooks)
            work()
            server.settimeout(0)
            with pytest.raises(BlockingIOError):
                server.accept()
        if hasattr(Job, "send_webhooks"):
            assert "it has webhooks" in reason(redis_client, job_id)

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"{}",
            b"[]",
            b'"tests.attacker.leave_a_file"',
            b'["tests.attacker.leave_a_file", null, {}, []]',
            b'["tests.attacker.leave_a_file", null, [], {}, 1]',
            b"[null, null, [], {}]",
            b'[["tests.attacker.leave_a_file"], null, [], {}]',
            b"[" * 100_000,
            b'["tests.attacker.leave_a_file", null, [' + b"9" * 5_000 + b"], {}]",
        ],
        ids=range(10),
    )
    def test_other_shapes(self, redis_client: Any, data: bytes) -> None:
        job_id = forge(redis_client, data)
        work()
        assert "RefusedJob: Job" in reason(redis_client, job_id)

    @pytest.mark.parametrize(
        "fields",
        [
            {"timeout": "never"},
            {"status": "lost"},
            {"created_at": "yesterday"},
            {"result_ttl": "1.5"},
            {"description": b"\xff"},
            {"dependency_ids": b"{"},
            {b"\xff": b"\xff"},
        ],
        ids=str,
    )
    def test_unreadable_fields_do_not_end_the_worker(
        self, redis_client: Any, tmp_path: Path, trap: Path, fields: dict[Any, Any]
    ) -> None:
        job_id = forge(redis_client, call(LISTED, str(trap)))
        redis_client.hset(f"rq:job:{job_id}", mapping=fields)
        forge(redis_client, call(LISTED, str(tmp_path / "next")))
        work()
        assert "it can't be read" in reason(redis_client, job_id)
        assert (tmp_path / "next").exists()

    def test_small_pack_of_much(self, redis_client: Any) -> None:
        job_id = forge(redis_client, zlib.compress(b" " * (secure.MAX_BYTES + 1)))
        work()
        assert "its data has more than 4,194,304 bytes" in reason(redis_client, job_id)

    @pytest.mark.parametrize("bad", ["a b", "a/b", "", "ä", ":x", "a\n", '"); spring()  # '])
    def test_impossible_ids_are_passed_over(
        self, redis_client: Any, tmp_path: Path, bad: str
    ) -> None:
        redis_client.rpush("rq:queue:fast", bad)
        redis_client.hset(f"rq:job:{bad}", mapping={"data": call(LISTED, str(tmp_path / "no"))})
        forge(redis_client, call(LISTED, str(tmp_path / "next")))
        work()
        assert [path.name for path in tmp_path.iterdir()] == ["next"]

    def test_refused_job_is_not_retried_or_repeated(self, redis_client: Any, trap: Path) -> None:
        fields: Any = {"retries_left": 5, "repeats_left": 5, "repeat_intervals": "[0]"}
        job_id = forge(redis_client, call("os.mkdir", str(trap)), **fields)
        work()
        assert "RefusedJob" in reason(redis_client, job_id)
        assert redis_client.xlen(f"rq:results:{job_id}") == 1

    def test_refused_job_leaves_after_a_day(self, redis_client: Any) -> None:
        """RQ's own year would let a flood fill the memory."""
        job_id = forge(redis_client, call("os.getpid"), failure_ttl=str(10**9))
        work()
        left = redis_client.zscore("rq:failed:fast", job_id) - time.time()
        assert 86_000 < left <= 86_401

    def test_dependents_are_judged_by_themselves(
        self, redis_client: Any, tmp_path: Path, trap: Path
    ) -> None:
        parent = forge(redis_client, call(LISTED, str(tmp_path / "parent")), result_ttl="500")
        needs: Any = {"dependency_ids": json.dumps([parent])}
        child = forge(redis_client, call("os.mkdir", str(trap)), status="deferred", **needs)
        redis_client.lrem("rq:queue:fast", 0, child)
        redis_client.sadd(f"rq:job:{parent}:dependents", child)
        redis_client.sadd(f"rq:job::{child}:dependencies", parent)
        work()
        assert (tmp_path / "parent").exists()
        assert "'os.mkdir' is not in" in reason(redis_client, child)

    @pytest.mark.parametrize(
        ("attribute", "value", "problem"),
        [
            ("func_name", "os.getpid", "'os.getpid' is not in"),
            ("instance", "some text", "it calls a method"),
        ],
    )
    def test_what_is_set_later_is_judged_too(
        self, redis_client: Any, attribute: str, value: str, problem: str
    ) -> None:
        job = SecureJob.create(LISTED, connection=redis_client)
        setattr(job, attribute, value)
        with pytest.raises(RefusedJob, match=problem):
            job.perform()


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


class TestHalfConfigured:
    def test_plain_worker_that_reads_pickle_runs_nothing(
        self, redis_client: Any, tmp_path: Path
    ) -> None:
        job_id = forge(redis_client, call(LISTED, str(tmp_path / "mine")))
        queue = Queue("fast", connection=redis_client)
        SimpleWorker([queue], connection=redis_client, job_class=SecureJob).work(burst=True)
        assert f"this worker reads pickle: {secure.WORKER_HINT}" in reason(redis_client, job_id)
        assert not (tmp_path / "mine").exists()

    def test_plain_worker_that_reads_json_runs_what_is_listed(
        self, redis_client: Any, tmp_path: Path
    ) -> None:
        forge(redis_client, call(LISTED, str(tmp_path / "mine")))
        queue = Queue("fast", connection=redis_client)
        options: Any = {"job_class": SecureJob, "serializer": JSONSerializer}
        SimpleWorker([queue], connection=redis_client, **options).work(burst=True)
        assert (tmp_path / "mine").exists()

    def test_checks_say_nothing_of_a_whole_configuration(self) -> None:
        assert checks.check_secure() == []

    def test_checks_say_nothing_where_nothing_is_used(self, settings: Any) -> None:
        settings.RQ = {}
        settings.EDA_DJANGO = {}
        assert checks.check_secure() == []

    def test_check_finds_the_missing_job_class(self, settings: Any) -> None:
        settings.RQ = {"WORKER_CLASS": "eda_django.secure.SecureWorker"}
        [error, warning] = checks.check_secure()
        assert (error.id, warning.id) == ("eda_django.E006", "eda_django.W005")
        assert "Set RQ['JOB_CLASS'] = 'eda_django.secure.SecureJob'." in str(error.hint)

    def test_check_finds_the_missing_worker_class(self, settings: Any) -> None:
        settings.RQ = {"JOB_CLASS": SecureJob}
        [error] = checks.check_secure()
        assert error.id == "eda_django.E006"
        assert "Set RQ['WORKER_CLASS']" in str(error.hint)

    def test_check_finds_the_queue_with_pickle(self, settings: Any) -> None:
        plain = {key: value for key, value in settings.RQ_QUEUES["slow"].items() if key == "HOST"}
        settings.RQ_QUEUES = {**settings.RQ_QUEUES, "slow": plain}
        [error] = checks.check_secure()
        assert error.id == "eda_django.E006"
        assert "queue 'slow' has no JSON serializer" in error.msg

    def test_checks_are_registered(self, settings: Any) -> None:
        settings.RQ = {"JOB_CLASS": SecureJob, "WORKER_CLASS": Worker}
        found = django_checks.run_checks(tags=["eda_django"])
        assert [m.id for m in found if m.id == "eda_django.E006"]


def test_every_line_of_the_docs_table_has_its_test() -> None:
    """And every test of what is left to an attacker has its line."""
    root = Path(__file__).parent
    page = (root.parent / "docs/how-to/secure-redis.md").read_text()
    table = [line for line in page.splitlines() if line.startswith("| ")][1:]
    source = (root / "integration/test_secure.py").read_text()
    tests = re.findall(r"^def (test_\w+)", source, re.MULTILINE)
    assert [re.findall(r"`(test_\w+)` \|$", line) for line in table] == [[name] for name in tests]
