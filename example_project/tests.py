"""The whole story: an order goes through all five services, which only talk in events."""

import re
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.mail import EmailMessage
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from eda_django.models import Delivery, OutboxEvent, Status
from eda_django.testing import drain
from example_project.billing.models import Invoice
from example_project.inventory.models import Release, Reservation, Stock
from example_project.notifications.models import SentMail
from example_project.orders.models import OrderStep, Product
from example_project.payments.models import Charge
from example_project.services import SERVICES
from example_project.testing import make_due

pytestmark = pytest.mark.django_db
WORKS, DECLINED = "4242 4242 4242 4242", "4000 0000 0000 0002"
FLAKY, DOWN = "4000 0000 0000 0119", "4000 0000 0000 0259"


@pytest.fixture
def shop() -> None:
    call_command("load_shop", verbosity=0)
    drain()


def order(
    client: Client, card: str = WORKS, *, sku: str = "mug-moss", quantity: int = 2, **changes: str
) -> str:
    """Buy something through the pages; return the order's address."""
    client.post("/cart/add/", {"sku": sku, "quantity": quantity})
    found = re.search(r'name="checkout_id" value="([^"]+)"', client.get("/cart/").content.decode())
    assert found
    sent = {"name": "Ada", "email": "ada@example.org", "card": card, "checkout_id": found[1]}
    return str(client.post("/checkout/", sent | changes)["Location"])


def status(client: Client, address: str) -> dict[str, Any]:
    return dict(client.get(f"{address}status.json").json())


def steps(client: Client, address: str) -> list[tuple[str, str]]:
    return [(step["name"], step["state"]) for step in status(client, address)["steps"]]


def effects(address: str) -> dict[str, int]:
    """Count what each service has in its own tables for an order."""
    order_id = UUID(address.split("/")[2])
    kept = (Reservation, Release, Charge, Invoice, SentMail)
    return {model.__name__: model.objects.filter(order_id=order_id).count() for model in kept}


def stock(sku: str) -> int:
    return Stock.objects.get(sku=sku).quantity


def test_an_order_is_reserved_paid_invoiced_and_mailed_each_once(
    shop: None, client: Client, mailoutbox: list[EmailMessage]
) -> None:
    before = stock("mug-moss")
    address = order(client)
    assert status(client, address)["state"] == "placed"
    drain()
    assert status(client, address) | {"steps": []} == {
        "state": "confirmed",
        "finished": True,
        "steps": [],
    }
    done = [(name, "done") for name in ("placed", "reserved", "paid", "invoiced", "mailed")]
    assert steps(client, address) == done
    assert effects(address) == {
        "Reservation": 1,
        "Release": 0,
        "Charge": 1,
        "Invoice": 1,
        "SentMail": 1,
    }
    assert stock("mug-moss") == before - 2
    assert [mail.to for mail in mailoutbox] == [["ada@example.org"]]


def test_every_event_of_an_order_has_the_first_one_as_its_cause(shop: None, client: Client) -> None:
    OutboxEvent.objects.all().delete()
    order(client)
    drain()
    first = OutboxEvent.objects.get(type="orders.order_placed")
    others = OutboxEvent.objects.exclude(pk=first.pk)
    assert others.count() == 5
    assert {event.correlation_id for event in others} == {str(first.event_id)}


def test_a_declined_card_releases_the_stock_again(shop: None, client: Client) -> None:
    before = stock("mug-moss")
    address = order(client, DECLINED)
    drain()
    assert (status(client, address)["state"], stock("mug-moss")) == ("cancelled", before)
    assert steps(client, address)[2] == ("declined", "failed")
    assert effects(address) == {
        "Reservation": 1,
        "Release": 1,
        "Charge": 1,
        "Invoice": 0,
        "SentMail": 1,
    }


def test_a_product_sells_out_and_the_list_hears_of_it(shop: None, client: Client) -> None:
    assert stock("teapot-raku") == 5
    addresses = [order(client, sku="teapot-raku") for _ in range(3)]
    drain()
    states = [status(client, address)["state"] for address in addresses]
    assert sorted(states) == ["confirmed", "confirmed", "sold_out"]
    assert stock("teapot-raku") == 1
    order(client, sku="teapot-raku", quantity=1)
    drain()
    assert Product.objects.get(sku="teapot-raku").is_sold_out
    assert "Sold out" in client.get("/").content.decode()


def test_a_duplicate_checkout_has_no_second_effect(shop: None, client: Client) -> None:
    checkout_id = str(uuid4())
    address = order(client, checkout_id=checkout_id)
    drain()
    assert order(client, checkout_id=checkout_id) == address
    drain()
    assert set(effects(address).values()) == {0, 1}


def test_a_gateway_that_stumbles_is_shown_and_tried_again(shop: None, client: Client) -> None:
    address = order(client, FLAKY)
    drain()
    waiting = status(client, address)["steps"][2]
    assert (waiting["name"], waiting["state"]) == ("paid", "waiting")
    assert waiting["detail"].startswith("Attempt 1 failed: The payment gateway answered 503")
    make_due()
    drain()
    assert status(client, address)["state"] == "confirmed"
    assert effects(address)["Charge"] == 1


def test_a_dead_letter_waits_for_an_operator_in_sight(shop: None, client: Client) -> None:
    address = order(client, DOWN)
    for _ in range(3):
        drain()
        make_due()
    found = status(client, address)
    assert (found["state"], found["finished"]) == ("stuck", True)
    assert found["steps"][2]["state"] == "stuck"
    assert "Waits for an operator, after 3 attempts" in found["steps"][2]["detail"]
    assert "Waits for an operator" in client.get(address).content.decode()
    assert Delivery.objects.get(status=Status.DEAD).queue == "payments"


def test_an_order_says_which_service_it_waits_for(shop: None, client: Client) -> None:
    address = order(client)
    assert status(client, address)["steps"][1]["detail"] == "Waiting for inventory."
    drain()
    order_id = address.split("/")[2]
    OrderStep.objects.filter(order_id=order_id, name="mailed").delete()
    Delivery.objects.filter(event__type="notifications.mail_sent").update(
        status=Status.QUEUED, lease_until=timezone.now(), finished_at=None
    )
    last = status(client, address)["steps"][-1]
    assert last["detail"] == "Notifications has reported, orders has not noted it yet."


def test_loading_the_shop_twice_changes_nothing(shop: None) -> None:
    events = OutboxEvent.objects.count()
    Stock.objects.filter(sku="mug-moss").update(quantity=1)
    call_command("load_shop", verbosity=0)
    assert (OutboxEvent.objects.count(), stock("mug-moss")) == (events, 1)
    assert get_user_model().objects.filter(username="admin").count() == 1


def test_the_shop_can_be_loaded_with_more_of_everything() -> None:
    call_command("load_shop", stock_factor=3, verbosity=0)
    assert stock("teapot-raku") == 15


@pytest.mark.parametrize("factor", [-1, 10_000, float("nan")])
def test_a_senseless_stock_factor_is_refused(factor: float) -> None:
    with pytest.raises(CommandError, match="--stock-factor"):
        call_command("load_shop", stock_factor=factor)


def test_the_demos_admin_sees_every_table_of_every_service(shop: None, client: Client) -> None:
    order(client)
    drain()
    assert client.login(username="admin", password="admin")
    for service in SERVICES:
        for model in apps.get_app_config(service.name).get_models():
            if model.__name__ == "OrderLine":
                continue
            address = f"/admin/{service.name}/{model._meta.model_name}/"
            assert client.get(address).status_code == 200, address
            row = model._default_manager.first()
            if row is not None:
                assert client.get(f"{address}{row.pk}/change/").status_code == 200, address


def test_an_address_that_leads_nowhere_is_answered_with_a_page(client: Client) -> None:
    answer = client.get("/nowhere/")
    assert answer.status_code == 404
    assert "That is not here" in answer.content.decode()
