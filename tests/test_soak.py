"""The soak: it counts what is wrong, repeats what it did, and finds nothing in a short run."""

import os
import re
import subprocess
import sys
from collections import Counter
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from tests import databases
from tests.demo import PRIVATE
from tests.integration.processes import ROOT
from tests.seeds import SEED
from tests.soak import faults, truth
from tests.soak.outside import Outside
from tests.soak.place import LEASE, Place
from tests.soak.recoveries import Recoveries
from tests.soak.revision import commit
from tests.soak.truth import Findings
from tests.testapp.models import Effect, Order
from tests.waiting import PATIENCE

ORDERS = ["placed:0.1.0", "paid:0.1.0", "shipped:0.1.1", "refused:0.1.2"]
EFFECTS = [
    ("soak.reserve", "placed:0.1.0"),
    ("soak.bill", "placed:0.1.0"),
    ("soak.audit", "placed:0.1.0"),
    ("soak.mail", "paid:0.1.0"),
    ("soak.audit", "paid:0.1.0"),
    ("soak.mail", "shipped:0.1.1"),
    ("soak.bare", "shipped:0.1.1"),
    ("soak.audit", "shipped:0.1.1"),
    ("soak.audit", "refused:0.1.2"),
]
DEAD = [("soak.doomed", "refused:0.1.2")]


# What is counted


@pytest.mark.once
def test_all_is_well_when_each_effect_is_there_once() -> None:
    found = truth.compare(ORDERS, EFFECTS, DEAD)
    assert found == Findings(events=4, deliveries=10, dead=1, repeated=0)
    assert found.is_clean


@pytest.mark.once
@pytest.mark.parametrize("missing", EFFECTS)
def test_each_effect_that_is_missing_is_lost(missing: tuple[str, str]) -> None:
    found = truth.compare(ORDERS, [work for work in EFFECTS if work != missing], DEAD)
    assert found.lost == [f"{missing[0]} of {missing[1]}"]
    assert not found.is_clean


@pytest.mark.once
@pytest.mark.parametrize("again", [work for work in EFFECTS if work[0] != "soak.bare"])
def test_each_effect_that_is_there_twice_is_doubled(again: tuple[str, str]) -> None:
    found = truth.compare(ORDERS, [*EFFECTS, again], DEAD)
    assert found.doubled == [f"{again[0]} of {again[1]}, 2 times"]
    assert not found.is_clean


@pytest.mark.once
def test_subscriber_without_transaction_may_repeat() -> None:
    found = truth.compare(ORDERS, [*EFFECTS, ("soak.bare", "shipped:0.1.1")], DEAD)
    assert found.repeated == 1
    assert found.is_clean


@pytest.mark.once
def test_what_a_subscriber_publishes_is_there_once() -> None:
    none = truth.compare([n for n in ORDERS if not n.startswith("paid")], EFFECTS, DEAD)
    assert "paid:0.1.0, which follows placed:0.1.0" in none.lost
    twice = truth.compare([*ORDERS, "paid:0.1.0"], EFFECTS, DEAD)
    assert twice.doubled == ["paid:0.1.0, published 2 times"]
    assert not twice.is_clean


@pytest.mark.once
def test_order_that_was_published_twice_with_one_key_counts_once() -> None:
    assert truth.compare([*ORDERS, "placed:0.1.0"], EFFECTS, DEAD).is_clean


@pytest.mark.once
@pytest.mark.parametrize(
    "strange",
    [("soak.audit", "placed:0.9.0"), ("soak.doomed", "refused:0.1.2")],
    ids=["never committed", "failed"],
)
def test_effects_without_a_reason_are_found(strange: tuple[str, str]) -> None:
    found = truth.compare(ORDERS, [*EFFECTS, strange], DEAD)
    assert found.unfounded == [f"{strange[0]} of {strange[1]}"]
    assert not found.is_clean


@pytest.mark.once
def test_dead_letters_must_be_the_expected_ones() -> None:
    alive = truth.compare(ORDERS, EFFECTS, [])
    assert alive.not_dead == ["soak.doomed of refused:0.1.2"]
    assert not alive.is_clean
    dead = truth.compare(ORDERS, EFFECTS, [*DEAD, ("soak.mail", "paid:0.1.0")])
    assert dead.wrongly_dead == ["soak.mail of paid:0.1.0"]
    assert not dead.is_clean


@pytest.mark.django_db
def test_a_planted_loss_and_a_planted_double_are_found_in_the_tables(tmp_path: Path) -> None:
    numbers = ["shipped:0.1.0", "shipped:0.2.0"]
    Order.objects.bulk_create([Order(number=number) for number in numbers])
    for number in numbers:
        for subscriber in ("soak.mail", "soak.audit", "soak.bare"):
            write(subscriber, number)
    outside = Outside(tmp_path / "lock.log")
    assert outside.findings().is_clean
    Effect.objects.filter(subscriber="soak.mail", note__startswith=numbers[0]).delete()
    write("soak.audit", numbers[1])
    found = outside.findings()
    assert found.lost == ["soak.mail of shipped:0.1.0"]
    assert found.doubled == ["soak.audit of shipped:0.2.0, 2 times"]


@pytest.mark.once
@pytest.mark.parametrize(
    ("events", "struck", "reasons"),
    [
        (1, 1, []),
        (0, 1, ["no event was committed"]),
        (1, 0, ["no fault was injected"]),
        (0, 0, ["no event was committed", "no fault was injected"]),
    ],
)
def test_soak_without_events_or_faults_is_not_clean(
    events: int, struck: int, reasons: list[str]
) -> None:
    """Nothing could go wrong in it."""
    # Its subscribers are forgotten after the test.
    from tests.soak.report import Report

    findings = Findings(events=events, deliveries=0, dead=0, repeated=0)
    report = Report(run=ended_run(findings, struck), seed=1, seconds=60.0)
    assert report.is_clean == (not reasons)
    lines = "".join(f"- {reason}\n" for reason in reasons)
    _, has_title, said = report.markdown().partition("## Shows nothing\n\n")
    assert (said, bool(has_title)) == (lines, bool(reasons))


def ended_run(findings: Findings, struck: int) -> Any:
    """Return what a report reads of a run, without its processes."""
    return SimpleNamespace(
        outside=SimpleNamespace(
            findings=lambda: findings, unfinished=list, version=lambda: "a database"
        ),
        injector=SimpleNamespace(struck=Counter({"kill a relay": struck})),
        recoveries=SimpleNamespace(longest={}),
        relays=[],
        workers=[],
        publishers=[],
        drained_in=0.0,
    )


def write(subscriber: str, number: str) -> None:
    Effect.objects.create(
        subscriber=subscriber, event_id=uuid4(), attempt=1, note=f"{number} worker-0/7"
    )


# What is drawn from the seed


@pytest.mark.once
def test_one_seed_makes_one_sequence_of_faults() -> None:
    def first(seed: int) -> list[faults.Fault]:
        return list(islice(faults.sequence(seed, faults.WEIGHTS), 500))

    assert first(1) == first(1)
    assert first(1) != first(2)
    assert {fault.kind for fault in first(1)} == set(faults.WEIGHTS)


@pytest.mark.once
def test_one_seed_makes_one_sequence_of_transactions() -> None:
    # Its subscribers are forgotten after the test.
    from tests.soak.publisher import decide

    def first(seed: int, publisher: int) -> list[object]:
        return [decide(seed, publisher, n) for n in range(300)]

    assert first(1, 0) == first(1, 0)
    assert first(1, 0) != first(2, 0)
    assert first(1, 0) != first(1, 1)
    some = [decide(1, 0, n) for n in range(2_000)]
    for name in ("is_rolled_back", "is_idempotent", "is_twice", "is_many"):
        assert any(getattr(decision, name) for decision in some), name
    payloads = [payload for decision in some for payload in decision.payloads]
    for name in ("fail", "seconds", "deadly"):
        assert any(getattr(payload, name, False) for payload in payloads), name


# How long things take


@pytest.mark.once
def test_recovery_ends_with_the_next_delivery_of_what_was_hit() -> None:
    now = [0.0]
    recoveries = Recoveries(clock=lambda: now[0])
    recoveries.begin("kill a worker", hit="worker-1", killed=7, after={"0": 5})
    recoveries.begin("kill a relay", hit="relay-0", killed=8, after={"0": 5})
    now[0] = 1.0
    # Published before, by a work horse that has outlived its worker.
    recoveries.see(["paid:0.5.0 worker-1/7"])
    assert not recoveries.longest
    now[0] = 2.0
    recoveries.see(["paid:0.4.0 worker-1/9"])
    now[0] = 3.0
    recoveries.see(["paid:0.6.0 worker-0/3"])
    assert recoveries.longest == {"kill a worker": 2.0, "kill a relay": 3.0}
    assert not recoveries.pending


# The real thing


def run(*words: str) -> subprocess.CompletedProcess[str]:
    private = (*PRIVATE, "EDA_TEST_CHILD")
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name not in private},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_a_folder_that_no_soak_was_in_keeps_what_is_there(tmp_path: Path) -> None:
    kept = tmp_path / "logs" / "mine.log"
    kept.parent.mkdir()
    kept.touch()
    (tmp_path / "lock").touch()
    with (
        pytest.raises(SystemExit, match="is not empty, and no soak has been in it"),
        Place(tmp_path),
    ):
        pass
    assert kept.exists()


def test_a_soak_clears_what_an_earlier_one_left(tmp_path: Path) -> None:
    with Place(tmp_path / "inner"):
        pass
    for _ in range(2):
        with Place(tmp_path) as place:
            assert not list(place.logs.iterdir())
            place.log("relay").touch()
    assert (tmp_path / "inner" / "logs").is_dir()


@pytest.mark.processes
def test_short_soak_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """G1, G2, G3, G4: and the report says so."""
    answer = run("tests.soak", "--minutes=0.2", f"--seed={SEED}", f"--folder={tmp_path}")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    report = (tmp_path / databases.vendor() / "report.md").read_text()
    for what in ("lost", "doubled", "unfinished", "dead, as they must not be"):
        assert f"| {what} | 0 |" in report
    assert f"| commit | {commit()} |" in report
    assert int(re.findall(r"events committed \| ([\d,]+)", report)[0].replace(",", "")) > 20
    assert int(re.findall(r"^(\d+) faults", report, re.MULTILINE)[0]) >= 5


@pytest.mark.processes
def test_delivery_of_a_killed_worker_starts_again_after_its_lease(tmp_path: Path) -> None:
    """G4: within seconds of it, which only the measurement at rest may say more exactly."""
    answer = run("tests.soak.recovery", "worker", "--trials=1", f"--folder={tmp_path}")
    assert f", commit {commit()}\n" in answer.stdout
    found = re.search(r"starts again \| 1 \| ([\d.]+) \|", answer.stdout)
    assert found, answer.stdout + answer.stderr
    assert LEASE / 2 < float(found[1]) < PATIENCE
