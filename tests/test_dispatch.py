"""What goes into Redis, what is asked of it, and what happens when it is away."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

import django_rq
import pytest
import redis
from django.db import transaction
from rq import Queue, SimpleWorker
from rq.job import Job

from eda_django.chunks import Chunk
from eda_django.consumer import TIME_SLICE
from eda_django.dispatch import RqTransport, bell, connections, jobs, rq_transport
from eda_django.exceptions import TransportUnavailable
from eda_django.inline import InlineTransport
from tests.integration.servers import closed_port, hanging_server, queue_at


def a_chunk(queue: str = "fast", *, ids: tuple[int, ...] = (1, 2), name: str = "x.y") -> Chunk:
    return Chunk(token=uuid4(), subscriber=name, queue=queue, delivery_ids=ids)


def push(*chunks: Chunk, transport: RqTransport | None = None) -> dict[UUID, str]:
    return (transport or RqTransport()).push(chunks, using="default")


def alive(*chunks: Chunk, transport: RqTransport | None = None) -> set[UUID]:
    return (transport or RqTransport()).alive({chunk.token: chunk.queue for chunk in chunks})


def fetch(chunk: Chunk) -> Job:
    queue = django_rq.get_queue(chunk.queue)
    job = queue.fetch_job(chunk.job_id)
    assert job is not None
    return job


@contextmanager
def elsewhere(settings: Any, *names: str, port: int) -> Iterator[None]:
    """Move these queues to the Redis at another port."""
    moved = {name: queue_at(port) for name in names or settings.RQ_QUEUES}
    before, settings.RQ_QUEUES = settings.RQ_QUEUES, {**settings.RQ_QUEUES, **moved}
    yield
    settings.RQ_QUEUES = before


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
        monkeypatch.setattr(rq_transport, "TIMEOUT", 0.05)
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


class TestAlive:
    """G7, and G2: pushing what is still on its way piles up, not pushing what is lost loses."""

    def test_what_waits_in_the_queue_is_alive(self, redis_client: Any) -> None:
        chunk, json = a_chunk(), a_chunk("json")
        push(chunk, json)
        assert alive(chunk, json) == {chunk.token, json.token}

    def test_foreign_jobs_in_the_queue_do_not_matter(self, redis_client: Any) -> None:
        chunk = a_chunk()
        for _ in range(3):
            django_rq.get_queue("fast").enqueue(time.monotonic)
        push(chunk)
        assert alive(chunk, a_chunk()) == {chunk.token}

    def test_emptied_redis_has_nothing_alive(self, redis_client: Any) -> None:
        chunk = a_chunk()
        push(chunk)
        redis_client.flushall()
        assert alive(chunk) == set()

    def test_job_lost_from_the_list_is_not_alive(self, redis_client: Any) -> None:
        """An eviction takes keys one by one."""
        chunk = a_chunk()
        push(chunk)
        redis_client.delete("rq:queue:fast")
        push(a_chunk())
        assert alive(chunk) == set()

    def test_job_whose_hash_is_lost_is_not_alive(self, redis_client: Any) -> None:
        chunk = a_chunk()
        push(chunk)
        redis_client.delete(f"rq:job:{chunk.job_id}")
        assert alive(chunk) == set()

    def test_job_popped_by_a_worker_that_died_is_not_alive(self, redis_client: Any) -> None:
        chunk = a_chunk()
        push(chunk)
        redis_client.lmove("rq:queue:fast", "rq:queue:fast:intermediate", "LEFT", "RIGHT")
        assert alive(chunk) == set()

    def test_job_that_is_in_no_list_is_forgotten_in_a_while(self, redis_client: Any) -> None:
        """G7: RQ would keep for ever what a worker took from several queues before it died."""
        lost, waiting = a_chunk(), a_chunk()
        push(lost)
        redis_client.lpop("rq:queue:fast")
        push(waiting)
        assert alive(lost, waiting) == {waiting.token}
        assert 0 < redis_client.ttl(f"rq:job:{lost.job_id}") <= jobs.FAILURE_TTL
        assert redis_client.ttl(f"rq:job:{waiting.job_id}") == -1

    def test_job_that_was_run_is_not_alive(self, redis_client: Any) -> None:
        chunk = a_chunk("json")
        push(chunk)
        redis_client.hset(f"rq:job:{chunk.job_id}", "status", "started")
        assert alive(chunk) == set()

    def test_queue_that_is_gone_from_the_settings_has_nothing_alive(
        self, redis_client: Any, settings: Any
    ) -> None:
        chunk = a_chunk()
        push(chunk)
        settings.RQ_QUEUES = {"default": settings.REDIS}
        assert alive(chunk) == set()

    def test_long_queue_is_not_read_to_its_end(
        self, redis_client: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What is behind its head is believed, until the list is short enough to look."""
        monkeypatch.setattr(jobs, "HEAD", 2)
        first, lost, last = a_chunk(), a_chunk(), a_chunk()
        push(first, lost, last, a_chunk())
        redis_client.lrem("rq:queue:fast", 1, lost.job_id)
        with redis_client.monitor() as monitor:
            found = alive(first, lost, last, a_chunk())
            redis_client.ping()
            asked = list(iter(lambda: monitor.next_command()["command"], "PING"))
        assert "LRANGE rq:queue:fast 0 1" in asked
        assert found == {first.token, lost.token, last.token}
        redis_client.lpop("rq:queue:fast")
        assert alive(first, lost, last) == {last.token}

    def test_claims_on_a_redis_that_is_away_count_as_alive(
        self, redis_client: Any, settings: Any
    ) -> None:
        """G4: one Redis away must not stop the relay's work for the others."""
        transport = RqTransport()
        unknown, fine, gone = a_chunk("slow"), a_chunk(), a_chunk()
        push(fine)
        with elsewhere(settings, "slow", port=closed_port()):
            found = alive(unknown, fine, gone, transport=transport)
            assert found == {unknown.token, fine.token}
            assert alive(unknown, transport=transport) == {unknown.token}

    def test_alive_raises_when_every_redis_is_away(self, settings: Any) -> None:
        with elsewhere(settings, port=closed_port()), pytest.raises(TransportUnavailable):
            alive(a_chunk())


class TestCheck:
    def test_one_redis_of_several_is_enough(self, redis_client: Any, settings: Any) -> None:
        """G4: also when it isn't the doorbell's."""
        with elsewhere(settings, "default", port=closed_port()):
            RqTransport().check()

    def test_none_is_too_few(self, settings: Any) -> None:
        with elsewhere(settings, port=closed_port()), pytest.raises(TransportUnavailable):
            RqTransport().check()

    def test_redis_that_came_back_is_asked_at_once(self, redis_client: Any, settings: Any) -> None:
        transport = RqTransport()
        with elsewhere(settings, port=closed_port()), pytest.raises(TransportUnavailable):
            push(a_chunk(), transport=transport)
        transport.check()
        assert push(a_chunk(), transport=transport) == {}


class TestWait:
    def test_ring_ends_the_wait_and_is_used_up(self, redis_client: Any) -> None:
        redis_client.lpush("eda_django:tests:bell:default", 1, 1, 1)
        RqTransport().wait(60.0, using="default", wake=threading.Event())
        assert redis_client.keys() == []

    def test_ring_for_another_database_does_not(self, redis_client: Any) -> None:
        redis_client.lpush("eda_django:tests:bell:other", 1)
        RqTransport().wait(0.02, using="default", wake=threading.Event())
        assert redis_client.llen("eda_django:tests:bell:other") == 1

    def test_wait_is_over_after_its_time_when_redis_is_away(self, settings: Any) -> None:
        with elsewhere(settings, port=closed_port()):
            started = time.monotonic()
            RqTransport().wait(0.05, using="default", wake=threading.Event())
        assert time.monotonic() - started >= 0.05

    def test_wake_ends_the_wait_when_redis_is_away(self, settings: Any) -> None:
        wake = threading.Event()
        threading.Timer(0.05, wake.set).start()
        with elsewhere(settings, port=closed_port()):
            RqTransport().wait(60.0, using="default", wake=wake)
        assert wake.is_set()


class TestRing:
    def test_rings_are_capped(self, redis_client: Any) -> None:
        """A relay that is off for a day finds a short list."""
        ringer = bell._Bell()
        for _ in range(bell.MAX_RINGS + 5):
            ringer.ring("default")
        assert redis_client.llen("eda_django:tests:bell:default") == bell.MAX_RINGS

    def test_bell_follows_the_settings(self, redis_client: Any, settings: Any) -> None:
        ringer = bell._Bell()
        ringer.ring("default")
        with (
            elsewhere(settings, "default", port=closed_port()),
            pytest.raises(redis.exceptions.ConnectionError),
        ):
            ringer.ring("default")
        ringer.ring("default")
        assert redis_client.llen("eda_django:tests:bell:default") == 2


SENTINEL = {"SENTINELS": [("127.0.0.1", 1)], "MASTER_NAME": "m", "SOCKET_TIMEOUT": 99}


class TestConnection:
    """No call to Redis may last for ever, however the site has written down where it is."""

    # redis-py 5.0 leaves the socket of a failed connect to the garbage collector.
    @pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
    @pytest.mark.parametrize(
        "config",
        [
            {"HOST": "127.0.0.1", "PORT": 1, "DB": 0},
            {"HOST": "h", "PORT": 1, "REDIS_CLIENT_KWARGS": {"socket_timeout": 99}},
            {"URL": "redis://127.0.0.1:1/0"},
            {"URL": "rediss://127.0.0.1:1/0?socket_timeout=99", "DB": 0},
            {"UNIX_SOCKET_PATH": "/nowhere", "DB": 0},
            SENTINEL,
        ],
        ids=lambda config: next(iter(config)),
    )
    def test_connection_has_a_time_limit(self, settings: Any, config: dict[str, Any]) -> None:
        settings.RQ_QUEUES = {"q": config}
        with connections.connect("q", 0.25) as connection:
            options = connection.connection_pool.connection_kwargs
            assert options["socket_timeout"] == options["socket_connect_timeout"] == 0.25
            assert options["retry"]._retries == 0
            with pytest.raises(redis.exceptions.ConnectionError):
                connection.ping()

    def test_sentinels_have_a_time_limit(self, settings: Any) -> None:
        """They are asked first, and by default wait for ever."""
        with hanging_server() as server:
            settings.RQ_QUEUES = {"q": {**SENTINEL, "SENTINELS": [("127.0.0.1", server.port)]}}
            connection: Any = connections.connect("q", 0.05)
            (sentinel,) = connection.connection_pool.sentinel_manager.sentinels
            options = sentinel.connection_pool.connection_kwargs
            assert options["socket_timeout"] == options["socket_connect_timeout"] == 0.05
            with pytest.raises(redis.exceptions.ConnectionError, match="No master found"):
                connection.ping()
            assert server.connections

    def test_connection_of_the_cache_is_left_alone(
        self, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shared = redis.Redis(socket_timeout=99)
        monkeypatch.setattr(django_rq, "get_connection", lambda name: shared)
        settings.RQ_QUEUES = {"q": {"USE_REDIS_CACHE": "default"}}
        assert connections.connect("q", 0.25) is shared
        assert shared.connection_pool.connection_kwargs["socket_timeout"] == 99


class TestInline:
    def test_stopping_gives_chunks_back(self) -> None:
        chunk = a_chunk()
        inline = InlineTransport(stopping=lambda: True)
        assert inline.push([chunk], using="default") == {chunk.token: ""}

    def test_nothing_is_ever_on_its_way(self) -> None:
        inline = InlineTransport()
        inline.check()
        assert inline.alive({uuid4(): "fast"}) == set()

    def test_wake_ends_the_wait(self) -> None:
        wake = threading.Event()
        wake.set()
        InlineTransport().wait(60.0, using="default", wake=wake)


@pytest.mark.django_db(transaction=True)
def test_job_of_a_claim_that_is_over_does_nothing(redis_client: Any) -> None:
    """G3: a push whose answer was lost is repeated under a new claim; the old job is harmless."""
    push(a_chunk("json"))
    queue = django_rq.get_queue("json")
    worker = SimpleWorker([queue], connection=queue.connection, serializer=queue.serializer)
    assert worker.work(burst=True, logging_level="WARNING")
    assert queue.failed_job_registry.count == 0
