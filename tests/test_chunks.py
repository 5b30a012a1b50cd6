"""How deliveries are put together for RQ jobs."""

from dataclasses import dataclass
from uuid import uuid4

import pytest

from eda_django.chunks import Chunk, cut, job_id


@dataclass
class Row:
    subscriber: str = "a"
    queue: str = "q"
    isolated: bool = False


def sizes(*rows: Row, size: int = 25) -> list[int]:
    return [len(part) for _, part in cut(rows, size=size)]


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, [1]), (4, [1, 1, 1, 1]), (8, [2, 2, 2, 2]), (100, [25] * 4), (110, [25] * 4 + [10])],
)
def test_few_deliveries_are_spread_and_many_are_packed(count: int, expected: list[int]) -> None:
    assert sizes(*[Row()] * count) == expected


def test_queue_that_is_behind_gets_as_few_chunks_as_can_be() -> None:
    rows = [Row(queue=queue) for queue in ("q", "slow") for _ in range(26)]
    chunks = [part for _, part in cut(rows, size=25, behind={"slow": 0.2})]
    assert [len(part) for part in chunks if part[0].queue == "slow"] == [25, 1]
    assert [len(part) for part in chunks if part[0].queue == "q"] == [7, 7, 7, 5]


def test_chunk_holds_one_subscription_and_one_queue() -> None:
    """G4: what one subscriber does delays none of another's."""
    rows = [Row(name, queue) for name in "ab" for queue in "xy" for _ in range(40)]
    for _, part in cut(rows, size=25):
        assert len({(row.subscriber, row.queue) for row in part}) == 1


def test_isolated_delivery_travels_alone() -> None:
    """G4: what ran when its worker died takes no other with it."""
    rows = [Row(isolated=n == 7) for n in range(40)]
    assert [part for _, part in cut(rows, size=25) if any(row.isolated for row in part)] == [
        [rows[7]]
    ]


def test_every_chunk_has_a_token_of_its_own() -> None:
    tokens = [token for token, _ in cut([Row()] * 100, size=5)]
    assert len(set(tokens)) == len(tokens) == 20


def test_no_rows_make_no_chunk() -> None:
    assert sizes() == []


def test_job_id_is_the_claim_in_letters_that_rq_takes() -> None:
    """G7: the relay can ask for a job by the claim alone."""
    token = uuid4()
    chunk = Chunk(token=token, subscriber="a", queue="q", delivery_ids=(1,))
    assert chunk.job_id == job_id(token) == f"eda-{token.hex}"
    assert chunk.job_id.replace("-", "").isalnum()
