"""The statements that a chunk costs."""

import pytest

from eda_django.consumer import ChunkRun
from eda_django.execution import Execution
from tests.consumer.running import fails_for, one_chunk, run
from tests.relaying import Statements


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("count", [1, 10, 50])
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


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("failing", [(), (0, 1), (0, 1, 2)])
def test_only_the_first_start_is_a_commit_of_its_own(
    failing: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others come with the end of the one before, a failure or not."""
    chunk = one_chunk(3, fails_for(*failing))
    start, alone = ChunkRun._start, []

    def noted(run: ChunkRun, work: Execution) -> bool:
        alone.append(work.pk)
        return start(run, work)

    monkeypatch.setattr(ChunkRun, "_start", noted)
    assert run(chunk) == 3 - len(failing)
    assert alone == [chunk.delivery_ids[0]]
