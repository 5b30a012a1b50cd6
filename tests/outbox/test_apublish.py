"""apublish(): a transaction of its own."""

from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import transaction

from eda_django import Event, InvalidEvent, UnknownDatabase, apublish
from eda_django.models import OutboxEvent
from tests.testapp.events import Noted


@pytest.mark.django_db(transaction=True)
def test_apublish_commits_in_a_transaction_of_its_own(rings: list[str]):
    async def main() -> Event[Any]:
        sent = await apublish("testapp.noted", {"text": "a"}, key=7, idempotency_key="k")
        assert await sync_to_async(transaction.get_autocommit)()
        assert rings == ["default"]
        return sent

    sent = async_to_sync(main)()
    row = OutboxEvent.objects.get()
    assert (row.event_id, row.key, row.idempotency_key) == (sent.id, "7", "k")


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_apublish_opens_its_transaction_on_the_database_named():
    async_to_sync(apublish)(Noted("a"), using="other")
    assert OutboxEvent.objects.using("other").count() == 1
    assert OutboxEvent.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_apublish_raises_what_publish_raises():
    with pytest.raises(UnknownDatabase):
        async_to_sync(apublish)(Noted(), using="nowhere")
    with pytest.raises(InvalidEvent):
        async_to_sync(apublish)(5)
