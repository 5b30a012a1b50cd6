"""The statements that a chunk costs."""

import pytest

from tests.consumer.running import fails_for, one_chunk, run
from tests.relaying import Statements


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("count", [1, 10, 25])
def test_chunk_costs_three_statements_a_delivery_and_two_more(count: int) -> None:
    """One locks, one is the subscriber's, one settles and starts the next."""
    chunk = one_chunk(count)
    with Statements() as captured:
        assert run(chunk) == count
    assert len(captured.texts) == 2 + 3 * count


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("count", [1, 10])
def test_failure_costs_three_statements_more(count: int) -> None:
    """The lock is undone with the rest, so one locks again. One records, one starts the next."""
    chunk = one_chunk(count, fails_for(*range(count)))
    with Statements() as captured:
        assert run(chunk) == 0
    assert len(captured.texts) == 1 + 6 * count
