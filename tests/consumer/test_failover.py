"""A server that became a replica under a worker that keeps its connection."""

import pytest
from django.db import DatabaseError, connection

from eda_django.models import Delivery
from eda_django.models.verbs import DeliveryQuerySet
from tests.consumer.running import one_chunk, run
from tests.relaying import statuses

READ_ONLY = {
    "sqlite": "PRAGMA query_only = ON",
    "postgresql": "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    "mysql": "SET SESSION TRANSACTION READ ONLY",
}


@pytest.mark.django_db(transaction=True)
def test_worker_leaves_a_server_that_takes_no_writes_any_more() -> None:
    """Such a connection answers whatever it is asked, so that nobody finds it dead."""
    chunk = one_chunk(2)
    with connection.cursor() as cursor:
        cursor.execute(READ_ONLY[connection.vendor])
    with pytest.raises(DatabaseError):
        run(chunk)
    assert run(chunk) == 2
    assert statuses() == ["succeeded"] * 2
    assert set(Delivery.objects.values_list("attempts", flat=True)) == {1}


@pytest.mark.django_db
def test_connection_of_a_caller_in_a_transaction_is_left_to_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A test that drains, for example, has more to do in its transaction."""
    chunk = one_chunk(2)

    def refuse(*args: object, **options: object) -> int:
        raise DatabaseError("cannot execute UPDATE in a read-only transaction")

    with monkeypatch.context() as patch:
        patch.setattr(DeliveryQuerySet, "start", refuse)
        with pytest.raises(DatabaseError):
            run(chunk)
    assert statuses() == ["pending"] * 2
