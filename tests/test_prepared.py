"""With psycopg's prepare_threshold the server keeps what publishing and consuming send again."""

import pytest
from django.db import connection, transaction

from eda_django import publish
from eda_django.models.raw import fetch
from tests.consumer.running import one_chunk, run
from tests.databases import PREPARED, set_up, vendor
from tests.relaying import HAPPENED

KEPT = "SELECT statement FROM pg_prepared_statements"
# What each publish and each delivery sends, by words of its own.
ALWAYS_THE_SAME = (
    "INSERT INTO eda_django_outboxevent",
    "SELECT 1 FROM eda_django_delivery",
    "UPDATE eda_django_delivery SET\n  status = CASE",
)


@pytest.mark.skipif(vendor() != "postgresql", reason="Only PostgreSQL's driver keeps statements.")
@pytest.mark.django_db(transaction=True)
def test_what_every_event_costs_is_kept_and_told_once() -> None:
    with set_up(OPTIONS=connection.settings_dict["OPTIONS"] | PREPARED):
        chunk = one_chunk(4)
        for number in range(4):
            with transaction.atomic():
                publish(HAPPENED, {"number": number})
        assert run(chunk) == 4
        kept = [text for (text,) in fetch("default", KEPT)]
    for words in ALWAYS_THE_SAME:
        assert len([text for text in kept if text.startswith(words)]) == 1, (words, kept)
