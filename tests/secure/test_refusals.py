"""What SecureJob refuses of all that Redis may hold, and what becomes of it."""

import json
import socket
import time
import zlib
from base64 import b64encode
from pathlib import Path
from typing import Any

import django_rq
import pytest
from rq.job import Job

from eda_django import secure
from eda_django.chunks import JOB
from eda_django.exceptions import RefusedJob
from eda_django.secure import SecureJob
from tests.attacker import UNLISTED, call, consume_call, forge, pickled
from tests.secure.refused import TOKEN, reason, work
from tests.world import LISTED


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
            {"dependency_ids": b"5"},
            {"dependency_ids": b'{"a": 1}'},
            {"dependency_ids": b'["a", 5]'},
            {"dependency_ids": b'["a b"]'},
            {"retries_left": "5", "retry_intervals": "[]"},
            {"retries_left": "5", "retry_intervals": '"text"'},
            {"retries_left": "5", "retry_intervals": "[-1]"},
            {"retries_left": "5", "retry_intervals": "[NaN]"},
            {"retries_left": "1", "retry_intervals": f"[{10**20}]"},
            {"repeats_left": "5", "repeat_intervals": '"text"'},
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

    @pytest.mark.parametrize(
        "fields",
        [
            {"retries_left": 10**9, "enqueue_at_front_on_retry": 1},
            {"retries_left": 10**9, "retry_intervals": "[1]"},
        ],
        ids=str,
    )
    def test_consumers_job_is_not_retried(
        self, redis_client: Any, tmp_path: Path, fields: dict[str, Any]
    ) -> None:
        """At the front of its queue it would keep out all others, and no relay asks for it."""
        job_id = forge(redis_client, consume_call("nonsense"), **fields)
        forge(redis_client, call(LISTED, str(tmp_path / "next")))
        work(max_jobs=2)
        assert "RefusedJob" in reason(redis_client, job_id)
        assert redis_client.xlen(f"rq:results:{job_id}") == 1
        assert not redis_client.zcard("rq:scheduled:fast")
        assert (tmp_path / "next").exists()

    @pytest.mark.django_db(transaction=True)
    def test_consumers_job_is_not_repeated(self, redis_client: Any) -> None:
        fields: Any = {"repeats_left": 10**9, "repeat_intervals": "[0]", "result_ttl": "500"}
        job_id = forge(redis_client, consume_call([1], token=TOKEN), **fields)
        work(max_jobs=2)
        assert redis_client.xlen(f"rq:results:{job_id}") == 1
        assert not redis_client.llen("rq:queue:fast")

    def test_consumers_job_has_no_group_no_rate_and_no_needs(self, redis_client: Any) -> None:
        fields: Any = {
            "group_id": "x",
            "rate_limit_key": "x",
            "rate_limit_concurrency": 1,
            "dependency_ids": '["x"]',
        }
        job_id = forge(redis_client, consume_call([1], token=TOKEN), **fields)
        job: Any = SecureJob.fetch(job_id, connection=redis_client)
        found = (job.group_id, job.rate_limit_key, job.rate_limit_concurrency, job._dependency_ids)
        assert found == (None, None, None, [])

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
