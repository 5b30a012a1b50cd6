"""Orders through an empty Django project that uses nothing but the public API."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from example_project.demo.redis_server import RedisServer
from tests import databases
from tests.integration.fresh_project import FreshProject

pytestmark = pytest.mark.processes

# Every third one is rolled back. A crowd where most sites are; elsewhere what fills a few chunks.
ORDERS = 600 if databases.vendor() == "postgresql" else 120
COMMITTED = ORDERS * 2 // 3
# Seconds; on a machine at rest it takes a tenth of them.
PATIENCE = 300.0

SETTINGS = """
import os
try:
    import MySQLdb
except ImportError:
    import pymysql
    pymysql.version_info = (2, 2, 8, "final", 0)
    pymysql.install_as_MySQLdb()

INSTALLED_APPS += ["django_rq", "eda_django", "shop"]
DATABASES = {{"default": {database!r}}}
RQ_QUEUES = {{name: {{"URL": {redis!r}}} for name in ("default", "stock", "office")}}
EDA_DJANGO = {{"SOURCE": "fresh", "POLL_INTERVAL": 0.5}}
"""

MODELS = """
from django.db import models

class Order(models.Model):
    number = models.IntegerField()

class Effect(models.Model):
    subscriber = models.CharField(max_length=50)
    order = models.IntegerField()
    attempt = models.IntegerField()
    values = models.CharField(max_length=200)
"""

EVENTS = """
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from eda_django import event

@event("shop.order_placed")
@dataclass(frozen=True)
class OrderPlaced:
    number: int
    total: Decimal
    placed_at: datetime
    reference: UUID
"""

SERVICES = """
from datetime import datetime, timezone
from decimal import Decimal
from uuid import UUID

from django.db import transaction
from eda_django import publish, publishes

from .events import OrderPlaced
from .models import Order

class ChangedMind(Exception):
    pass

def payload(number):
    moment = datetime(2026, 2, 28, 23, 59, 59, number, timezone.utc)
    return OrderPlaced(number, Decimal(number) / 100, moment, UUID(int=number))

@publishes(OrderPlaced)
def place_decorated(number):
    Order.objects.create(number=number)
    if number % 3 == 2:
        raise ChangedMind
    return payload(number)

def place_by_hand(number):
    with transaction.atomic():
        Order.objects.create(number=number)
        publish(payload(number), key=str(number))
        if number % 3 == 2:
            raise ChangedMind

def place_all(first, end):
    for number in range(first, end):
        try:
            (place_decorated if number % 2 else place_by_hand)(number)
        except ChangedMind:
            pass
"""

SUBSCRIBERS = """
from eda_django import Event, Retry, subscribes

from .events import OrderPlaced
from .models import Effect

def note(name, event):
    data = event.data
    values = f"{data.total!r} {data.placed_at.isoformat()} {data.reference!r}"
    return dict(subscriber=name, order=data.number, attempt=event.attempt, values=values)

@subscribes(OrderPlaced, queue="stock")
def reserve(event: Event[OrderPlaced]) -> None:
    Effect.objects.create(**note("reserve", event))

@subscribes(OrderPlaced, queue="office", retry=Retry(base=0.05, factor=1))
def bill(event: Event[OrderPlaced]) -> None:
    Effect.objects.create(**note("bill", event))
    if event.attempt == 1:
        raise RuntimeError("after the write")

@subscribes(OrderPlaced, queue="stock")
async def mail(event: Event[OrderPlaced]) -> None:
    await Effect.objects.acreate(**note("mail", event))
"""

# Prints what there is when every delivery has succeeded, or what there is by then.
LOOK = """python manage.py shell -v 0 -c "
import json
import time
from collections import Counter
from eda_django.models import Delivery
from shop.models import Effect, Order
from shop.services import payload
orders = sorted(Order.objects.values_list('number', flat=True))
expected = Counter()
for number in orders:
    d = payload(number)
    values = f'{d.total!r} {d.placed_at.isoformat()} {d.reference!r}'
    for name, attempt in (('reserve', 1), ('bill', 2), ('mail', 1)):
        expected[name, number, attempt, values] += 1
deadline = time.monotonic() + PATIENCE
while Delivery.objects.filter(status='succeeded').count() < expected.total():
    if time.monotonic() > deadline:
        break
    time.sleep(0.1)
found = Counter(Effect.objects.values_list('subscriber', 'order', 'attempt', 'values'))
print(json.dumps({
    'orders': len(orders),
    'statuses': Counter(Delivery.objects.values_list('status', flat=True)),
    'lost': (expected - found).total(),
    'too many': (found - expected).total(),
}))
"
""".replace("PATIENCE", str(PATIENCE))


@pytest.fixture
def database(tmp_path: Path, django_db_setup: None, django_db_blocker: Any) -> Iterator[Any]:
    """Make an empty database beside the suite's; yield Django's settings for it."""
    ours = connection.settings_dict
    if connection.vendor == "sqlite":
        yield {
            "ENGINE": ours["ENGINE"],
            "NAME": str(tmp_path / "db.sqlite3"),
            "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 30},
        }
        return
    kept = ("ENGINE", "USER", "PASSWORD", "HOST", "PORT", "OPTIONS")
    with django_db_blocker.unblock(), databases.empty_database("fresh") as name:
        yield {**{key: ours[key] for key in kept}, "NAME": name}


@pytest.fixture
def project(tmp_path: Path, database: Any, redis_server: RedisServer) -> Iterator[FreshProject]:
    project = FreshProject(tmp_path)
    project.run("django-admin startproject mysite . && python manage.py startapp shop")
    # A database of its own in the suite's Redis.
    redis = redis_server.url.replace("/0", "/8")
    text = SETTINGS.format(database=database, redis=redis)
    project.write("mysite/settings.py", text, append=True)
    for name, text in (
        ("models", MODELS),
        ("events", EVENTS),
        ("services", SERVICES),
        ("subscribers", SUBSCRIBERS),
    ):
        project.write(f"shop/{name}.py", text)
    yield project
    project.end()


def place(project: FreshProject, first: int, end: int) -> None:
    script = f"from shop.services import place_all; place_all({first}, {end})"
    project.run(f'python manage.py shell -v 0 -c "{script}"')


def test_orders_of_an_empty_project_reach_each_subscriber_once(project: FreshProject) -> None:
    """G1, G2, G3, G12: with two relays, where the database lets two write."""
    project.run("python manage.py makemigrations shop && python manage.py migrate")
    place(project, 0, ORDERS // 2)
    for _ in range(1 if connection.vendor == "sqlite" else 2):
        project.start("python manage.py relay")
    for _ in range(2):
        project.start("python manage.py rqworker stock office --worker-class=rq.SimpleWorker")
    place(project, ORDERS // 2, ORDERS)

    total = COMMITTED * 3
    assert json.loads(project.run(LOOK)) == {
        "orders": COMMITTED,
        "statuses": {"succeeded": total},
        "lost": 0,
        "too many": 0,
    }
