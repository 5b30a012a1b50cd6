"""Behind the scenes: who is up, what waits, the switches, and deliveries repeated on purpose."""

import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import django_rq
import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone
from redis import Redis

from eda_django import publish
from eda_django.models import Delivery, RelayHeartbeat, Status
from eda_django.relay import Relay
from eda_django.testing import drain
from example_project.demo.redis_server import RedisServer, free_port
from example_project.demo.switches import VARIABLE, Switches
from example_project.inventory.models import Reservation
from example_project.inventory.services import stock_up
from example_project.services import SERVICES
from example_project.testing import facts, placed

from . import workers

pytestmark = pytest.mark.django_db
NAMES = [service.name for service in SERVICES]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture
def redis(server: RedisServer, settings: Any) -> Iterator[Redis]:
    """Return a connection to a Redis of the tests' own, empty, that the queues are in."""
    settings.RQ_QUEUES = {name: {"URL": server.url} for name in ("default", *NAMES)}
    with Redis.from_url(server.url) as client:
        client.flushall()
        yield client


@pytest.fixture
def no_redis(settings: Any) -> None:
    url = f"redis://127.0.0.1:{free_port()}/0"
    settings.RQ_QUEUES = {name: {"URL": url} for name in ("default", *NAMES)}


@pytest.fixture
def panel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Switches:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    return Switches(tmp_path)


@pytest.fixture(autouse=True)
def _no_panel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


def register(queue: str) -> Any:
    worker: Any = django_rq.get_worker(queue)
    worker.register_birth()
    worker.heartbeat()
    return worker


def work_off(*queues: str) -> None:
    """Run an RQ worker here until the queues are empty."""
    signals = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        django_rq.get_worker(*queues, worker_class="rq.SimpleWorker").work(burst=True)
    finally:
        # RQ leaves its own behind, which would swallow a Ctrl-C of the suite.
        for number, handler in signals.items():
            signal.signal(number, handler)


def place_order() -> UUID:
    order = facts()
    with transaction.atomic():
        publish(placed(order), key=order.order_id, idempotency_key=str(order.order_id))
    return order.order_id


def status(client: Client) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/services/status.json").json()
    return found | {"services": {entry["name"]: entry for entry in found["services"]}}


# Who is up


def test_a_worker_counts_for_its_queue(redis: Redis) -> None:
    assert not workers.alive_by_queue()
    first, second = register("billing"), register("billing")
    assert workers.alive_by_queue() == {"billing": 2}
    first.register_death()
    assert workers.alive_by_queue() == {"billing": 1}
    second.register_death()
    assert not workers.alive_by_queue()


def test_a_worker_that_was_killed_does_not_count(redis: Redis) -> None:
    worker = register("billing")
    redis.expire(worker.key, 50)
    assert not workers.alive_by_queue()
    worker.heartbeat()
    assert workers.alive_by_queue() == {"billing": 1}


def test_a_worker_in_the_middle_of_a_job_counts(redis: Redis) -> None:
    worker = register("billing")
    worker.heartbeat(worker.job_monitoring_interval + 60)
    # Right before its next beat.
    redis.expire(worker.key, 60)
    assert workers.alive_by_queue() == {"billing": 1}


def test_each_service_is_up_or_down(redis: Redis, client: Client) -> None:
    register("payments")
    found = status(client)
    assert {name: entry["state"] for name, entry in found["services"].items()} == {
        name: "up" if name == "payments" else "down" for name in NAMES
    }
    page = client.get("/services/").content.decode()
    assert page.count('data-state="up"') == 1
    assert page.count('data-state="down"') == 4


def test_without_redis_the_page_tells_the_rest(no_redis: None, client: Client) -> None:
    found = status(client)
    assert found["redis"] is False
    assert {entry["state"] for entry in found["services"].values()} == {"unknown"}
    page = client.get("/services/")
    assert page.status_code == 200
    assert "nothing is lost" in page.content.decode()


def test_a_relay_shows_while_it_beats(redis: Redis, client: Client) -> None:
    assert status(client)["relays"] == 0
    RelayHeartbeat.objects.beat("here", hostname="here", pid=1, version="1")
    assert status(client)["relays"] == 1
    RelayHeartbeat.objects.update(beat_at=timezone.now() - timedelta(minutes=1))
    assert status(client)["relays"] == 0


# What waits, and what was done


def test_what_waits_for_a_service_is_counted(redis: Redis, client: Client) -> None:
    place_order()
    assert status(client)["unrelayed"] == 1
    Relay().fan_out()
    found = status(client)
    assert found["unrelayed"] == 0
    assert found["services"]["inventory"]["waiting"] == 1
    assert found["services"]["inventory"]["counts"] == {"queued": 1}
    assert found["services"]["billing"]["waiting"] == 0


def test_a_dead_letter_is_counted_apart(redis: Redis, client: Client) -> None:
    place_order()
    drain()
    Delivery.objects.filter(queue="inventory").update(status=Status.DEAD)
    entry = status(client)["services"]["inventory"]
    assert (entry["dead"], entry["waiting"]) == (1, 0)


def test_the_last_deed_is_told(redis: Redis, client: Client) -> None:
    assert "It has done nothing yet." in client.get("/services/").content.decode()
    order_id = place_order()
    drain()
    last = status(client)["services"]["inventory"]["last"]
    assert last | {"at": ""} == {
        "what": "reserve stock",
        "event": "orders.order_placed",
        "key": order_id.hex[:8].upper(),
        "at": "",
        "outcome": "succeeded",
    }


# The switches


def test_the_buttons_turn_a_service_off_and_on(
    redis: Redis, client: Client, panel: Switches
) -> None:
    assert client.post("/services/billing/stop/")["Location"] == "/services/"
    assert not panel.is_on("billing")
    assert panel.is_on("payments")
    assert 'action="/services/billing/start/"' in client.get("/services/").content.decode()
    assert client.post("/services/billing/start/")["Location"] == "/services/"
    assert panel.is_on("billing")
    assert 'action="/services/billing/stop/"' in client.get("/services/").content.decode()


def test_what_was_asked_for_and_is_not_done_yet_shows(
    redis: Redis, client: Client, panel: Switches
) -> None:
    assert status(client)["services"]["billing"]["state"] == "starting"
    worker = register("billing")
    assert status(client)["services"]["billing"]["state"] == "up"
    panel.turn("billing", on=False)
    assert status(client)["services"]["billing"]["state"] == "stopping"
    worker.register_death()
    assert status(client)["services"]["billing"]["state"] == "down"


def test_outside_the_demo_there_are_commands_and_no_buttons(redis: Redis, client: Client) -> None:
    page = client.get("/services/").content.decode()
    assert "manage.py rqworker billing" in page
    assert "/stop/" not in page
    answer = client.post("/services/billing/stop/", follow=True)
    assert "only in `make demo`" in answer.content.decode()


def test_only_services_have_switches(client: Client, panel: Switches) -> None:
    assert client.post("/services/nobody/stop/").status_code == 404
    assert client.get("/services/billing/stop/").status_code == 405
    strict = Client(enforce_csrf_checks=True)
    assert strict.post("/services/billing/stop/").status_code == 403
    assert panel.is_on("billing")


# Deliveries repeated on purpose


def test_events_delivered_again_have_no_second_effect(redis: Redis, client: Client) -> None:
    stock_up({"mug": 5})
    order_id = place_order()
    drain()
    attempts = list(Delivery.objects.order_by("pk").values_list("attempts", flat=True))
    address = client.post(f"/orders/{order_id}/again/")["Location"]
    before = client.get(f"{address}status.json").json()
    assert before["finished"] is False
    assert {copy["verdict"] for copy in before["copies"]} == {"waits for its worker"}
    work_off(*NAMES)
    after = client.get(f"{address}status.json").json()
    assert after["finished"] is True
    assert len(after["copies"]) == 9
    assert {copy["verdict"] for copy in after["copies"]} == {
        "taken, and passed over: this was done already"
    }
    assert list(Delivery.objects.order_by("pk").values_list("attempts", flat=True)) == attempts
    assert Reservation.objects.filter(order_id=order_id).count() == 1
    assert "reserve stock" in client.get(address).content.decode()


def test_a_copy_that_comes_first_does_the_work_once(redis: Redis, client: Client) -> None:
    stock_up({"mug": 5})
    order_id = place_order()
    Relay().fan_out()
    redis.flushall()
    address = client.post(f"/orders/{order_id}/again/")["Location"]
    work_off("inventory")
    found = client.get(f"{address}status.json").json()
    assert "did the work in its place" in found["copies"][0]["verdict"]
    drain()
    assert Reservation.objects.filter(order_id=order_id).count() == 1


def test_an_order_without_deliveries_has_nothing_to_repeat(redis: Redis, client: Client) -> None:
    order_id = place_order()
    assert client.post(f"/orders/{order_id}/again/")["Location"] == f"/orders/{order_id}/"


def test_without_redis_nothing_is_repeated_and_nothing_breaks(
    no_redis: None, client: Client
) -> None:
    order_id = place_order()
    drain()
    assert client.post(f"/orders/{order_id}/again/")["Location"] == f"/orders/{order_id}/"
    page = client.get(f"/orders/{uuid4()}/again/{uuid4().hex[:8]}/")
    assert "nothing to be seen of these copies" in page.content.decode()
