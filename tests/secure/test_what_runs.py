"""What SecureJob lets a worker run."""

import json
import zlib
from pathlib import Path
from typing import Any, cast

import django_rq
import pytest
from rq import Callback, Repeat, Retry

from eda_django.exceptions import RefusedJob
from tests import attacker
from tests.attacker import UNLISTED, call, consume_call, forge
from tests.secure.refused import TOKEN, work
from tests.world import LISTED


class TestWhatRuns:
    def test_listed_function_runs(self, redis_client: Any, tmp_path: Path) -> None:
        queue = django_rq.get_queue("fast")
        queue.enqueue(attacker.leave_a_file, str(tmp_path / "mine"))
        work()
        assert (tmp_path / "mine").exists()

    def test_listed_function_is_retried_and_repeated(
        self, redis_client: Any, settings: Any
    ) -> None:
        settings.EDA_DJANGO = {**settings.EDA_DJANGO, "ALLOWED_JOBS": ["os.mkdir", "os.getpid"]}
        queue, waits = django_rq.get_queue("fast"), [0, cast(int, 0.0)]
        retried = queue.enqueue("os.mkdir", "/", retry=Retry(max=2, interval=waits))
        repeated = queue.enqueue("os.getpid", repeat=Repeat(times=2, interval=[]))
        work()
        assert redis_client.hget(f"rq:job:{retried.id}", "retries_left") == b"0"
        assert redis_client.hget(f"rq:job:{repeated.id}", "repeats_left") == b"0"

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
