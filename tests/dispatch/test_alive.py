"""What Redis is asked: which jobs are still on their way, and whether it is there."""

import time
from typing import Any

import django_rq
import pytest
from rq.job import JobStatus

from eda_django.dispatch import jobs
from eda_django.dispatch.rq_transport import RqTransport
from eda_django.exceptions import TransportUnavailable
from tests.dispatch.queues import a_chunk, alive, elsewhere, push
from tests.integration.servers import closed_port
from tests.memory import peak_of


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

    def test_what_is_no_job_is_not_alive_and_hides_no_other(self, redis_client: Any) -> None:
        broken, waiting, lost = a_chunk(), a_chunk(), a_chunk()
        push(broken, waiting, lost)
        redis_client.delete(f"rq:job:{lost.job_id}")
        redis_client.set(f"rq:job:{broken.job_id}", "no hash")
        assert alive(broken, waiting, lost) == {waiting.token}

    def test_queue_that_is_no_list_is_no_outage(self, redis_client: Any) -> None:
        """G4: what is unknown counts as alive, and the relay goes on."""
        chunk = a_chunk()
        redis_client.set("rq:queue:fast", "no list")
        assert alive(chunk) == {chunk.token}

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

    @pytest.mark.parametrize("longest", [0, 2_000])
    @pytest.mark.parametrize("status", [status for status in JobStatus if status != "queued"])
    def test_job_in_any_other_state_is_not_alive(
        self, redis_client: Any, monkeypatch: pytest.MonkeyPatch, status: JobStatus, longest: int
    ) -> None:
        """Whether its queue is long or not. Of those that failed RQ keeps a list, as here."""
        monkeypatch.setattr(jobs, "LOOKED_THROUGH", longest)
        chunk, waiting = a_chunk(), a_chunk()
        push(chunk, waiting)
        redis_client.hset(f"rq:job:{chunk.job_id}", "status", status.value)
        if status is JobStatus.FAILED:
            redis_client.zadd("rq:failed:fast", {chunk.job_id: time.time() + 60})
        assert alive(chunk, waiting) == {waiting.token}

    def test_job_that_failed_inside_rq_is_not_alive(
        self, redis_client: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Not even in a long queue."""
        monkeypatch.setattr(jobs, "LOOKED_THROUGH", 0)
        failed, waiting = a_chunk(), a_chunk()
        push(failed)
        redis_client.hset(f"rq:job:{failed.job_id}", "data", b"no call")
        django_rq.get_worker("fast").work(burst=True)
        push(waiting)
        assert redis_client.hget(f"rq:job:{failed.job_id}", "status") == b"failed"
        assert alive(failed, waiting) == {waiting.token}

    def test_list_of_the_failed_that_is_none_hides_nothing(self, redis_client: Any) -> None:
        chunk = a_chunk()
        push(chunk)
        redis_client.set("rq:failed:fast", "no list")
        assert alive(chunk) == {chunk.token}

    @pytest.mark.parametrize("place", ["list", "status"])
    def test_what_is_huge_is_not_read(self, redis_client: Any, place: str) -> None:
        """Else a few entries would be all of the relay's memory."""
        chunk, waiting = a_chunk(), a_chunk()
        push(chunk, waiting)
        huge = "x" * 10_000_000
        if place == "list":
            redis_client.lpush("rq:queue:fast", huge)
        else:
            redis_client.hset(f"rq:job:{chunk.job_id}", "status", huge)
        assert peak_of(lambda: alive(chunk, waiting)) < len(huge) / 2
        found = {chunk.token} if place == "list" else set()
        assert alive(chunk, waiting) == {waiting.token} | found

    def test_queue_that_is_gone_from_the_settings_has_nothing_alive(
        self, redis_client: Any, settings: Any
    ) -> None:
        chunk = a_chunk()
        push(chunk)
        settings.RQ_QUEUES = {"default": settings.REDIS}
        assert alive(chunk) == set()

    def test_long_queue_is_not_looked_through(
        self, redis_client: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is believed, until the list is short enough to look."""
        monkeypatch.setattr(jobs, "LOOKED_THROUGH", 2)
        first, lost, last = a_chunk(), a_chunk(), a_chunk()
        push(first, lost, last, a_chunk())
        redis_client.lrem("rq:queue:fast", 1, lost.job_id)
        with redis_client.monitor() as monitor:
            found = alive(first, lost, last, a_chunk())
            redis_client.ping()
            asked = list(iter(lambda: monitor.next_command()["command"], "PING"))
        assert asked
        assert not any("LPOS" in command for command in asked)
        assert found == {first.token, lost.token, last.token}
        redis_client.lpop("rq:queue:fast")
        assert alive(first, lost, last) == {last.token}

    def test_places_are_asked_for_before_states(self, redis_client: Any) -> None:
        """G7: a job that is popped between would seem to be queued, and in no list."""
        chunks = a_chunk(), a_chunk()
        push(*chunks)
        with redis_client.monitor() as monitor:
            alive(*chunks)
            redis_client.ping()
            asked = list(iter(lambda: monitor.next_command()["command"], "PING"))
        words = [command.split()[0] for command in asked]
        assert [word for word in words if word in ("LPOS", "HSTRLEN")] == [
            *("LPOS", "LPOS"),
            *("HSTRLEN", "HSTRLEN"),
        ]

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
