"""The benchmark's peers, without their environments: nothing is downloaded here."""

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import django
import pytest

from benchmarks.about import about
from benchmarks.measure import Absent, Bar, Measure, Run, Size
from benchmarks.peers import contestants, environments, processes
from benchmarks.peers.catalogue import COMMON, PEERS, Peer
from benchmarks.peers.contestants import PARTS, Field, Standing, field
from benchmarks.peers.processes import PeerProcess
from benchmarks.report import Report
from benchmarks.run import measured
from example_project.demo.redis_server import free_port

pytestmark = [pytest.mark.once, pytest.mark.benchmark]
ROOT = Path(__file__).parent.parent
PEER = Peer(name="A", site="a", requirements=("a[x]==1.0", "b>=2"), licence="MIT")
# A peer's process that answers as benchmarks.peers.serve does.
ECHO = """
import json, sys
for line in sys.stdin:
    question = json.loads(line)
    if question["do"] == "fail":
        print(json.dumps({"trouble": "ValueError: broken\\nand more"}), flush=True)
    elif question["do"] == "end":
        sys.exit("error: no such table")
    else:
        print(json.dumps({"answer": question.get("count", 7.0)}), flush=True)
"""


@pytest.fixture
def process(tmp_path: Path) -> Any:
    log = tmp_path / "peer.log"
    with (
        log.open("w") as errors,
        processes.started([sys.executable, "-c", ECHO], errors, dict(os.environ)) as child,
    ):
        yield PeerProcess(PEER, child, log)


def measure(number: str = "P1", **more: Run) -> Measure:
    runs: dict[str, Run] = {"without": lambda size: 1.0, "library": lambda size: 2.0, **more}
    bar = Bar(name="library ÷ without", of="library", over="without")
    return Measure(number=number, title="t", unit="u", contestants=runs, bars=[bar])


def plain(measure: Measure) -> dict[str, Any]:
    (result,) = measured([measure], Size(), rounds=2, database="postgresql")
    return result.plain()


# What a peer's process answers


def test_a_peers_figure_comes_from_its_process(process: PeerProcess) -> None:
    assert contestants.drains(process, Size(events=60)) == 60
    assert contestants.waits_at_most(process, Size()) == 7.0


def test_a_peer_in_trouble_is_absent_and_says_why_in_one_line(
    process: PeerProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Absent, match=r"^ValueError: broken$"):
        process.ask("fail")
    assert "A: ValueError: broken\nand more" in capsys.readouterr().err
    assert process.ask("versions") == 7.0


def test_a_peer_whose_process_ended_is_absent_and_its_log_says_why(process: PeerProcess) -> None:
    for _ in range(2):
        with pytest.raises(Absent, match=r"^its process ended: error: no such table$"):
            process.ask("end")


# Peers among the contestants


def test_a_peer_joins_with_a_figure_and_a_ratio_of_the_same_run(process: PeerProcess) -> None:
    joined = Field([Standing(peer=PEER, process=process, versions="a 1.0")]).joined(measure())
    result = plain(joined)
    assert [figures["name"] for figures in result["contestants"]] == ["without", "library", "A"]
    assert [bar["name"] for bar in result["bars"]] == ["library ÷ without", "A ÷ without"]
    assert result["absent"] == {}
    assert len(result["rounds"]) == 2


def test_the_librarys_rate_is_divided_by_the_peers(process: PeerProcess) -> None:
    result = plain(Field([Standing(peer=PEER, process=process)]).joined(measure("P6")))
    assert result["bars"][-1]["name"] == "library ÷ A"
    assert result["bars"][-1]["median"] == pytest.approx(2.0 / Size().jobs)


def test_a_peer_that_cannot_run_is_named_with_its_reason() -> None:
    standings = [Standing(peer=PEER, trouble="can't install: no such package")]
    result = plain(Field(standings).joined(measure()))
    assert result["absent"] == {"A": "can't install: no such package"}
    report = Report(
        about=about(Size(), rounds=2),
        machines={"postgresql": Field(standings).described()},
        results=[result],
    ).markdown()
    assert "- A: can't install: no such package" in report
    assert "|  | A |  | can't install: no such package |" in report


def test_a_peer_is_left_blank_where_it_has_no_part(process: PeerProcess) -> None:
    peer = Peer(name="A", site="a", requirements=("a",), licence="MIT", blank={"P2": "no bulk"})
    standings = Field([Standing(peer=peer, process=process)])
    assert plain(standings.joined(measure("P2")))["absent"] == {"A": "no bulk"}
    assert plain(standings.joined(measure("P1")))["absent"] == {}


def test_measures_without_peers_stay_as_they_are(process: PeerProcess) -> None:
    one = measure("P4")
    joined = Field([Standing(peer=PEER, process=process)]).joined(one)
    assert (joined.contestants, joined.bars, joined.absent) == (one.contestants, one.bars, {})


def test_a_peer_that_fails_in_a_round_leaves_the_others_their_figures() -> None:
    turns = iter([3.0])

    def fails(size: Size) -> float:
        for figure in turns:
            return figure
        raise Absent("ValueError: broken")

    one = measure(A=fails)
    bar = Bar(name="A ÷ without", of="A", over="without")
    result = plain(replace(one, bars=[*one.bars, bar]))
    assert result["trouble"] == ""
    assert result["absent"] == {"A": "ValueError: broken"}
    assert [figures["name"] for figures in result["contestants"]] == ["without", "library"]
    assert [bar["name"] for bar in result["bars"]] == ["library ÷ without"]


def test_a_peer_that_needs_stomp_is_blank_where_no_broker_answers(
    process: PeerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv("BENCH_STOMP", address)
    peer = Peer(name="A", site="a", requirements=("a",), licence="MIT", stomp=("P3",))
    standing = Standing(peer=peer, process=process)
    assert standing.missing("P1") == ""
    assert standing.missing("P3") == (
        f"needs a broker that speaks STOMP, and none answers at {address}"
    )


def test_other_databases_have_no_peers_and_say_so() -> None:
    with field(PEERS, database="sqlite") as peers:
        assert set(peers.described()) == {peer.name for peer in PEERS}
        assert set(peers.described().values()) == {"is measured on PostgreSQL only"}


# Environments


def test_a_peer_that_needs_a_newer_python_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_PEERS_PYTHON", "/nowhere/python")
    peer = Peer(name="A", site="a", requirements=("a",), licence="MIT", python=(9, 1))
    with pytest.raises(Absent, match=r"^needs Python 9\.1; BENCH_PEERS_PYTHON can name one$"):
        environments.interpreter(peer)


def test_a_peer_has_the_benchmarks_own_python_if_it_can() -> None:
    assert environments.interpreter(PEER) == sys.executable


def test_an_environment_is_made_once_and_again_when_its_recipe_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[tuple[str, ...]] = []

    def run(what: str, *command: str) -> None:
        ran.append(command)
        (tmp_path / "a").mkdir(exist_ok=True)

    monkeypatch.setattr(environments, "FOLDER", tmp_path)
    monkeypatch.setattr(environments, "_run", run)
    for _ in range(2):
        assert environments.python(PEER) == tmp_path / "a" / "bin" / "python"
    venv, pip = ran
    assert venv[1:3] == ("-m", "venv")
    assert pip[-5:] == ("a[x]==1.0", "b>=2", *COMMON)
    newer = Peer(name="A", site="a", requirements=("a[x]==1.1",), licence="MIT")
    environments.python(newer)
    assert len(ran) == 4


def test_a_peer_that_cannot_have_the_librarys_django_gets_one_that_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_for: list[str] = []

    def run(what: str, *command: str) -> None:
        (tmp_path / "a").mkdir(exist_ok=True)
        if what == "install":
            asked_for.append(next(word for word in command if word.startswith("django")))
            if "==" in asked_for[-1]:
                raise Absent("can't install: ERROR: ResolutionImpossible")

    monkeypatch.setattr(environments, "FOLDER", tmp_path)
    monkeypatch.setattr(environments, "_run", run)
    environments.python(PEER)
    assert asked_for == [f"django=={django.__version__}", "django"]


def test_a_failed_installation_tells_pips_error() -> None:
    said = "WARNING: old\nERROR: No matching distribution found for a\n\n[notice] update\n"
    assert environments.reason(said) == "ERROR: No matching distribution found for a"
    assert environments.reason("") == "it didn't say why"


# The catalogue


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.site)
def test_every_peer_has_a_site_a_version_and_measures_that_exist(peer: Peer) -> None:
    assert (ROOT / "benchmarks" / "peers" / "sites" / f"{peer.site}.py").exists()
    assert all("==" in requirement for requirement in peer.requirements)
    assert {*peer.blank, *peer.stomp} <= set(PARTS)


def test_the_packages_are_named_without_versions_and_extras() -> None:
    assert PEER.packages == ["a", "b"]


def test_peers_work_in_a_database_of_redis_that_is_not_emptied(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BENCH_REDIS_URL", "redis://127.0.0.1:1234/0")
    environment = processes.environment(PEER, tmp_path)
    assert environment["BENCH_PEERS_REDIS_URL"] == "redis://127.0.0.1:1234/1"
    assert environment["BENCH_PEER"] == "a"
