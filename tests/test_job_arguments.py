"""What a job may say, and that a job's failure tells Redis nothing of a payload."""

import logging
import uuid
from typing import Any

import django_rq
import pytest
from django.db import OperationalError, transaction
from rq import SimpleWorker

from eda_django import Discard, consumer, job
from eda_django.conf import MAX_BATCH, OPTIONS
from eda_django.consumer import ChunkRun
from eda_django.dispatch import limit_of
from eda_django.dispatch.rq_transport import RqTransport
from eda_django.exceptions import BrokenJob, RefusedJob
from eda_django.inline import InlineTransport
from eda_django.job_arguments import MAX_ID, checked
from eda_django.relay import Relay
from tests.integration.test_workers import dump
from tests.relaying import happen, on_happened, only_delivery

SECRET = "4111-1111-1111-1111"
GOOD: dict[str, Any] = {
    "delivery_ids": [1, 2],
    "token": uuid.UUID(int=7).hex,
    "using": "default",
    "timeout": 60,
}


def test_what_a_relay_pushes_is_taken() -> None:
    claim = checked(**GOOD)
    assert (claim.ids, claim.token, claim.using) == ((1, 2), uuid.UUID(int=7), "default")
    assert claim.timeout == 60
    assert checked(**{**GOOD, "delivery_ids": (MAX_ID,), "timeout": None}).timeout is None


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"delivery_ids": "12"}, "delivery_ids must be a list of ids, not '12'."),
        ({"delivery_ids": None}, "delivery_ids must be a list of ids, not None."),
        ({"delivery_ids": {"1": 1}}, "delivery_ids must be a list of ids, not a dict."),
        ({"delivery_ids": 7}, "delivery_ids must be a list of ids, not 7."),
        ({"delivery_ids": ["1"]}, "delivery_ids has '1', which is no id of a delivery."),
        ({"delivery_ids": [1, True]}, "delivery_ids has True, which is no id of a delivery."),
        ({"delivery_ids": [1.0]}, "delivery_ids has 1.0, which is no id of a delivery."),
        ({"delivery_ids": [0]}, "delivery_ids has 0, which is no id of a delivery."),
        ({"delivery_ids": [-1]}, "delivery_ids has -1, which is no id of a delivery."),
        ({"delivery_ids": [[1]]}, "delivery_ids has a list, which is no id of a delivery."),
        (
            {"delivery_ids": [MAX_ID + 1]},
            f"delivery_ids has {MAX_ID + 1}, which is no id of a delivery.",
        ),
        ({"delivery_ids": [10**5000]}, "delivery_ids has a int, which is no id of a delivery."),
        (
            {"delivery_ids": [1] * (MAX_BATCH + 1)},
            "delivery_ids may have 10,000 ids, it has 10,001.",
        ),
        ({"token": 7}, "token must be a UUID, not 7."),
        ({"token": "no"}, "token must be a UUID, not 'no'."),
        ({"token": "0" * 1_000_000}, "token must be a UUID, not a str."),
        ({"using": "nowhere"}, "using must be an alias in settings.DATABASES, not 'nowhere'."),
        ({"using": ["default"]}, "using must be an alias in settings.DATABASES, not a list."),
        ({"timeout": "60"}, "timeout must be a number of seconds up to 1,000,000,000, or None,"),
        ({"timeout": True}, "or None, not True."),
        ({"timeout": 0}, "or None, not 0."),
        ({"timeout": -1.5}, "or None, not -1.5."),
        ({"timeout": float("nan")}, "or None, not nan."),
        ({"timeout": float("inf")}, "or None, not inf."),
        ({"timeout": 10**10}, "or None, not 10000000000."),
    ],
    ids=range(25),
)
def test_anything_else_is_refused(wrong: dict[str, Any], text: str) -> None:
    """No database is asked: the test has none."""
    for run in (checked, consumer.consume, job.consume):
        with pytest.raises(RefusedJob) as caught:
            run(**{**GOOD, **wrong})
        assert text in str(caught.value)


def test_the_largest_chunk_that_a_site_may_have_is_taken() -> None:
    assert OPTIONS["CHUNK_SIZE"].accepts(MAX_BATCH)
    assert len(checked(**{**GOOD, "delivery_ids": [1] * MAX_BATCH}).ids) == MAX_BATCH


@pytest.mark.parametrize("args", [(), ([1], "more")])
def test_other_arguments_are_refused(args: Any) -> None:
    with pytest.raises(RefusedJob, match=r"The arguments are not those of consume\(\)"):
        job.consume(*args, token=GOOD["token"])


def test_no_job_says_where_a_worker_finds_its_limits() -> None:
    with pytest.raises(RefusedJob, match="multiple values for keyword argument 'limit_of'"):
        job.consume(**GOOD, limit_of="t.forged")


def test_a_worker_takes_limits_from_its_own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """And hands them to consume(), which without them would limit nothing."""
    given: dict[str, Any] = {}
    monkeypatch.setattr(consumer, "consume", lambda *args, **kwargs: given.update(kwargs))
    job.consume()
    assert given == {"limit_of": limit_of}


def failures_of_one_job(client: Any, caplog: Any, work: Any) -> tuple[str, str]:
    """Let an event's subscriber do its work in an RQ worker; return what Redis and the log hold."""
    on_happened(work)
    happen(card=SECRET)
    Relay(transport=RqTransport()).poll()
    with caplog.at_level(logging.DEBUG):
        queue = django_rq.get_queue("default")
        SimpleWorker([queue], connection=queue.connection).work(burst=True)
    return dump(client), caplog.text


@pytest.fixture
def redacted(settings: Any) -> None:
    settings.EDA_DJANGO = {**settings.EDA_DJANGO, "REDACT": ["card"]}


@pytest.mark.django_db(transaction=True)
class TestNothingPrivateLeaves:
    """G9, where RQ, and not the library, is the one that writes."""

    @pytest.mark.parametrize(
        "error",
        [SystemExit(SECRET), KeyboardInterrupt(SECRET), RuntimeError(SECRET), Discard(SECRET)],
        ids=repr,
    )
    def test_subscribers_exception(
        self, redis_client: Any, caplog: Any, redacted: None, error: BaseException
    ) -> None:
        def work(event: Any) -> None:
            raise error

        in_redis, log = failures_of_one_job(redis_client, caplog, work)
        assert only_delivery().attempts == 1
        assert SECRET not in in_redis
        assert SECRET not in log
        assert SECRET not in only_delivery().error_text

    def test_database_that_is_away_when_a_failure_is_to_be_recorded(
        self, redis_client: Any, caplog: Any, redacted: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """RQ would write the whole chain of exceptions into Redis, the subscriber's among them."""

        def work(event: Any) -> None:
            raise RuntimeError(SECRET)

        def fail(*args: Any) -> int:
            raise OperationalError("server closed the connection")

        monkeypatch.setattr(ChunkRun, "_record", fail)
        in_redis, log = failures_of_one_job(redis_client, caplog, work)
        assert "The consumer broke off with OperationalError" in in_redis
        assert "consumer broke off error=OperationalError server closed the connection" in log
        assert "_settle_failure" in log
        for text in (in_redis, log):
            assert SECRET not in text

    def test_error_after_the_commit(self, redis_client: Any, caplog: Any, redacted: None) -> None:
        def later() -> None:
            raise RuntimeError(SECRET)

        in_redis, log = failures_of_one_job(
            redis_client, caplog, lambda event: transaction.on_commit(later)
        )
        assert only_delivery().status == "succeeded"
        assert "error after the commit" in log
        assert SECRET not in log
        assert SECRET not in in_redis

    def test_exit_in_an_inline_relay(self, caplog: Any, redacted: None) -> None:
        def work(event: Any) -> None:
            raise SystemExit(SECRET)

        on_happened(work)
        happen(card=SECRET)
        Relay(transport=InlineTransport()).poll()
        assert only_delivery().attempts == 1
        assert "called exit" in caplog.text
        assert SECRET not in caplog.text

    @pytest.mark.parametrize(("given", "kept"), [(3, 3), (SECRET, 1), (None, 1)])
    def test_exit_code_stays_if_it_is_one(
        self, monkeypatch: pytest.MonkeyPatch, given: Any, kept: int
    ) -> None:
        def leave(*args: Any, **kwargs: Any) -> int:
            raise SystemExit(given)

        monkeypatch.setattr(consumer, "consume", leave)
        with pytest.raises(SystemExit) as caught:
            job.consume()
        assert caught.value.code == kept

    def test_reason_of_a_broken_job_has_no_cause(
        self, monkeypatch: pytest.MonkeyPatch, caplog: Any
    ) -> None:
        def fail(*args: Any, **kwargs: Any) -> int:
            raise RuntimeError(SECRET)

        monkeypatch.setattr(consumer, "consume", fail)
        with pytest.raises(BrokenJob) as caught:
            job.consume()
        assert (caught.value.__cause__, caught.value.__suppress_context__) == (None, True)
        assert "consumer broke off error=RuntimeError" in caplog.text
        assert SECRET not in caplog.text
