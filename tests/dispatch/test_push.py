"""What goes into Redis: jobs that carry ids, and what becomes of those that don't get there."""

from collections.abc import Callable
from typing import Any

import django_rq
import pytest
import redis
from django.db import transaction
from rq import Queue, SimpleWorker
from rq.job import Job

from eda_django.chunks import TIME_SLICE, Chunk
from eda_django.dispatch import jobs, rq_transport
from eda_django.dispatch.connections import connect
from eda_django.dispatch.rq_transport import RqTransport
from eda_django.exceptions import TransportUnavailable
from tests.dispatch.queues import a_chunk, alive, elsewhere, push
from tests.integration.servers import closed_port, hanging_server
from tests.memory import full


def fetch(chunk: Chunk) -> Job:
    queue = django_rq.get_queue(chunk.queue)
    job = queue.fetch_job(chunk.job_id)
    assert job is not None
    return job


class BrokenQueue(Queue):
    def enqueue_many(self, *args: Any, **kwargs: Any) -> list[Job]:
        raise LookupError("this site's queue is broken")


class TestPush:
    def test_job_carries_ids_and_no_result(self, redis_client: Any) -> None:
        """G9: what is in Redis are ids, the claim, and the names of code."""
        chunk = a_chunk(ids=(7, 8), name="testapp.reserve")
        assert push(chunk) == {}
        job = fetch(chunk)
        assert job.func_name == "eda_django.job.consume"
        assert job.args == ([7, 8],)
        assert job.kwargs == {"token": chunk.token.hex, "using": "default", "timeout": 60}
        assert job.description == "2 deliveries for testapp.reserve"
        assert (job.result_ttl, job.retries_left) == (0, None)

    def test_job_may_take_longer_than_its_attempts(self, redis_client: Any) -> None:
        chunk = a_chunk()
        push(chunk)
        job = fetch(chunk)
        assert job.timeout == 60 + TIME_SLICE + jobs.MARGIN

    def test_queue_without_a_limit_gives_its_jobs_none(
        self, redis_client: Any, settings: Any
    ) -> None:
        endless = {**settings.REDIS, "DEFAULT_TIMEOUT": -1}
        settings.RQ_QUEUES = {**settings.RQ_QUEUES, "fast": endless}
        chunk = a_chunk(ids=(1,))
        push(chunk)
        job = fetch(chunk)
        assert (job.timeout, job.kwargs["timeout"]) == (-1, None)
        assert job.description == "1 delivery for x.y"

    def test_queue_has_its_own_serializer(self, redis_client: Any) -> None:
        chunk = a_chunk("json", ids=(5,))
        push(chunk)
        job = fetch(chunk)
        assert job.args == [[5]]
        assert redis_client.hget(f"rq:job:{chunk.job_id}", "data").find(b"pickle") == -1

    @pytest.mark.django_db(transaction=True)
    def test_push_does_not_wait_for_a_commit(self, redis_client: Any) -> None:
        """G2: django-rq's own enqueue() would push after the claim was committed as pushed."""
        with transaction.atomic():
            push(a_chunk())
            assert redis_client.llen("rq:queue:fast") == 1

    def test_old_commit_setting_warns_nobody(self, redis_client: Any, settings: Any) -> None:
        settings.RQ = {"AUTOCOMMIT": False}
        assert push(a_chunk()) == {}

    def test_unknown_queue_is_refused_and_others_go(self, redis_client: Any) -> None:
        """G4."""
        lost, fine = a_chunk("nowhere"), a_chunk()
        assert push(lost, fine) == {lost.token: "there is no queue 'nowhere' in RQ_QUEUES"}
        assert alive(lost, fine) == {fine.token}

    def test_broken_queue_class_is_refused_and_others_go(
        self, redis_client: Any, settings: Any
    ) -> None:
        """G4."""
        broken = {**settings.REDIS, "QUEUE_CLASS": BrokenQueue}
        settings.RQ_QUEUES = {**settings.RQ_QUEUES, "slow": broken}
        lost, fine = a_chunk("slow"), a_chunk()
        assert push(lost, fine) == {lost.token: "LookupError: this site's queue is broken"}
        assert alive(fine) == {fine.token}

    def test_queue_whose_redis_is_away_is_refused_and_others_go(
        self, redis_client: Any, settings: Any
    ) -> None:
        """G4: also when nothing else was to be pushed."""
        transport = RqTransport()
        lost, fine = a_chunk("slow"), a_chunk()
        with elsewhere(settings, "slow", port=closed_port()):
            refused = push(lost, fine, transport=transport)
            assert refused[lost.token].startswith("Redis is away: Error 111 connecting")
            assert list(refused) == [lost.token]
            assert list(push(lost, transport=transport)) == [lost.token]
        assert alive(fine) == {fine.token}

    def test_redis_that_hangs_is_let_alone_for_a_while(
        self,
        redis_client: Any,
        settings: Any,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """G4: or each turn would last as long as its time-out."""
        monkeypatch.setattr(
            rq_transport, "connect", lambda name, s: connect(name, 0.05 if name == "slow" else s)
        )
        now = 100.0
        transport = RqTransport(clock=lambda: now)
        lost = a_chunk("slow")
        with hanging_server() as server, elsewhere(settings, "slow", port=server.port):
            assert "imeout" in push(lost, transport=transport)[lost.token]
            tried = server.connections
            reason = "Redis is away: it did not answer a moment ago"
            assert push(lost, transport=transport) == {lost.token: reason}
            assert alive(lost, transport=transport) == {lost.token}
            assert server.connections == tried
            now += rq_transport.REST
            push(lost, transport=transport)
            assert server.connections > tried

    def test_what_a_full_redis_refuses_is_not_taken_for_pushed(self, redis_client: Any) -> None:
        """G2: it would wait for its lease, again and again."""
        with full(redis_client), pytest.raises(TransportUnavailable, match="maxmemory"):
            push(a_chunk())
        assert redis_client.keys("rq:*") == []

    def test_push_raises_when_every_redis_is_away(self, settings: Any) -> None:
        with (
            elsewhere(settings, port=closed_port()),
            pytest.raises(TransportUnavailable, match="Error 111 connecting to 127.0.0.1"),
        ):
            push(a_chunk(), a_chunk("slow"))

    def test_push_arrives_whole_or_not_at_all(self, redis_client: Any) -> None:
        """A connection that breaks half-way leaves no job without the others."""
        transport = RqTransport()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                redis.connection.AbstractConnection,
                "send_packed_command",
                send_half(redis.connection.AbstractConnection.send_packed_command),
            )
            with pytest.raises(TransportUnavailable):
                push(*(a_chunk() for _ in range(20)), transport=transport)
        assert redis_client.keys("rq:job:*") == []
        assert push(a_chunk(), transport=transport) == {}


def test_push_arrives_where_only_the_names_of_queues_are_broken(redis_client: Any) -> None:
    """Workers need no list of names; what arrived must not be pushed again and again."""
    redis_client.set("rq:queues", "no set")
    chunks = a_chunk(), a_chunk(), a_chunk("json")
    assert push(*chunks) == {}
    assert alive(*chunks) == {chunk.token for chunk in chunks}
    assert redis_client.llen("rq:queue:fast") == 2


def send_half(send: Callable[..., None]) -> Callable[..., None]:
    """Return a send that breaks the connection in the middle of what is long enough."""

    def half(self: Any, command: Any, *args: Any, **kwargs: Any) -> None:
        data = b"".join(command) if isinstance(command, list) else command
        if len(data) < 2_000:
            send(self, command, *args, **kwargs)
            return
        send(self, [data[: len(data) // 2]], *args, **kwargs)
        self.disconnect()
        raise redis.exceptions.ConnectionError("broken half-way")

    return half


@pytest.mark.django_db(transaction=True)
def test_job_of_a_claim_that_is_over_does_nothing(redis_client: Any) -> None:
    """G3: a push whose answer was lost is repeated under a new claim; the old job is harmless."""
    push(a_chunk("json"))
    queue = django_rq.get_queue("json")
    worker = SimpleWorker([queue], connection=queue.connection, serializer=queue.serializer)
    assert worker.work(burst=True, logging_level="WARNING")
    assert queue.failed_job_registry.count == 0
