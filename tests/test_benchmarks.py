"""The benchmark: every measure runs, at a size whose figures mean nothing."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from benchmarks.__main__ import NUMBERS
from benchmarks.about import about, commit
from benchmarks.measure import QUICK, Absent, Bar, Measure, Result, Run, Size, Spread, variant
from benchmarks.place import place
from benchmarks.report import Report, table
from benchmarks.run import measured, plain
from example_project.demo.redis_server import free_port
from tests.databases import URLS, vendor
from tests.offspring import descendants, end
from tests.waiting import PATIENCE, eventually

pytestmark = pytest.mark.benchmark

ROOT = Path(__file__).parent.parent
WIDE = "200"
WHAT = "median (min to max)"
# All on PostgreSQL; elsewhere one of each kind, and one that is measured on PostgreSQL only.
ELSEWHERE = ("P1", "P3", "P6", "P9", "P13")
MEASURED = NUMBERS if vendor() == "postgresql" else ELSEWHERE


def bench(
    *words: str, folder: Path, databases: Sequence[str] = (vendor(),), **environment: str
) -> "subprocess.CompletedProcess[str]":
    """Run the command on the database of this test run, or on others."""
    servers = {
        f"BENCH_{name.upper()}_URL": os.environ.get(variable, default)
        for name, (variable, default) in URLS.items()
    }
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "benchmarks",
            *(f"--database={name}" for name in databases),
            f"--output={folder}",
            *words,
        ],
        cwd=ROOT,
        env={**os.environ, **servers, "COLUMNS": WIDE, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Run every measure once; return what was printed and what was written.

    What differs from another contestant in circumstances alone is left out, as of --quick: most of
    the time goes into starting workers.
    """
    folder = tmp_path_factory.mktemp("bench")
    answer = bench("--quick", "--rounds=1", *MEASURED, folder=folder)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    written = json.loads((folder / "results.json").read_text())
    return {
        "printed": answer.stdout,
        "markdown": (folder / "results.md").read_text(),
        "run": written["run"],
        "machines": written["machines"],
        "results": {result["number"]: result for result in written["results"]},
    }


@pytest.mark.processes
@pytest.mark.parametrize("number", MEASURED)
def test_measure_has_a_figure_for_each_contestant_and_bar(number: str, run: dict[str, Any]) -> None:
    result = run["results"][number]
    if result["skipped"]:
        assert vendor() != "postgresql"
        assert result["trouble"] == "only measured on postgresql"
        return
    assert result["trouble"] == ""
    # Whether a server vacuums is its own affair; the measure says so, and the others go on.
    assert set(result["absent"].values()) <= {
        "not part of a trial",
        "autovacuum is off on this server",
    }
    assert result["contestants"]
    assert result["bars"]
    for figures in [*result["contestants"], *result["bars"]]:
        assert figures["least"] <= figures["median"] <= figures["greatest"]
    assert "{" not in "".join([result["title"], *(bar["name"] for bar in result["bars"])])
    assert {bar["verdict"] for bar in result["bars"] if bar["bar"]} == {"trial"}


@pytest.mark.processes
def test_the_report_has_a_line_for_each_figure_and_names_the_machine(run: dict[str, Any]) -> None:
    assert list(run["machines"]) == [vendor()]
    for fact, value in run["machines"][vendor()].items():
        assert f"{fact}: {value[:40]}" in run["printed"]
        assert f"- {fact}: {value}" in run["markdown"]
    for result in run["results"].values():
        for bar in result["bars"]:
            assert f"| = {bar['name']} | {bar['bar']} |" in run["markdown"]
            assert f"= {bar['name']}" in run["printed"]


@pytest.mark.processes
def test_the_report_tells_when_on_what_and_how_much_was_run(run: dict[str, Any]) -> None:
    told = run["run"]
    began_at = datetime.strptime(told["date"], "%Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC)
    assert began_at <= datetime.now(UTC)
    assert told["size"] == asdict(QUICK)
    for line in (
        "a trial: the figures mean nothing",
        f"date: {told['date']}",
        f"commit: {told['commit']}",
        f"ready to run at the start: {told['ready']}",
        "rounds: 1",
        "size: transactions=5, events=60, jobs=5,",
    ):
        assert f"- {line}" in run["markdown"]
        assert line in run["printed"]


@pytest.mark.once
def test_the_head_tells_only_the_sizes_that_differ_and_the_json_all() -> None:
    size = Size(events=60_000, traffic_seconds=2.5)
    report = Report(about=about(size, rounds=3))
    head = report.header()
    assert head[-2:] == ["rounds: 3", "size: events=60000, traffic_seconds=2.5"]
    assert "a trial: the figures mean nothing" not in head
    assert json.loads(report.as_json())["run"]["size"] == asdict(size)
    assert Report(about=about(Size(), rounds=3)).header()[-1] == "size: the default"


@pytest.mark.once
def test_the_commit_is_told_if_the_library_is_its_own_checkout(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        identity = ("-c", "user.name=A", "-c", "user.email=a@example.org")
        subprocess.run(["git", *identity, *words], cwd=tmp_path, check=True, capture_output=True)

    package, installed = tmp_path / "eda_django", tmp_path / ".venv" / "eda_django"
    for folder in (package, installed):
        folder.mkdir(parents=True)
        (folder / "__init__.py").touch()
    (tmp_path / ".gitignore").write_text(".venv\n")
    assert commit(package) == "unknown"
    git("init")
    git("add", ".")
    assert commit(package) == "unknown"
    git("commit", "-m", "Begin")
    assert re.fullmatch("[0-9a-f]{12}", commit(package))
    assert commit(installed) == "unknown"
    (package / "__init__.py").write_text("changed = True\n")
    assert re.fullmatch(r"[0-9a-f]{12}\+changes", commit(package))


@pytest.mark.processes
@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("P99", "there is no measure 'P99'"),
        ("--rounds=0", "--rounds=0 must be at least 1"),
        ("--flush-ms=200", "--flush-ms=200 must be 0 to 100"),
        ("--flush-ms=2 --database=mariadb", "--flush-ms is for PostgreSQL only"),
        ("--size=nothing=1", "--size=nothing=1: the names are transactions, events"),
    ],
)
@pytest.mark.once
def test_wrong_arguments_are_named(words: str, complaint: str, tmp_path: Path) -> None:
    answer = bench(*words.split(), folder=tmp_path)
    assert answer.returncode == 2
    assert complaint in answer.stderr


@pytest.mark.processes
@pytest.mark.skipif(vendor() != "postgresql", reason="Only PostgreSQL can be told to take longer.")
def test_the_server_is_told_how_much_longer_a_commit_is_to_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BENCH_POSTGRESQL_URL", os.environ.get(*URLS["postgresql"]))
    with (
        place("postgresql", flush_ms=2.5) as environment,
        psycopg.connect(environment["BENCH_DATABASE_URL"]) as connection,
    ):
        for name, value in (("commit_delay", "2500"), ("commit_siblings", "0")):
            assert connection.execute(f"SHOW {name}").fetchone() == (value,)


@pytest.mark.processes
@pytest.mark.once
def test_no_contestant_that_publishes_gets_a_figure_without_its_work() -> None:
    with place("sqlite") as environment:
        answer = subprocess.run(
            [sys.executable, "-m", "tests.idlers"],
            cwd=ROOT,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
    assert answer.returncode == 0, answer.stderr
    no_ring = "No ring is at the doorbell: Redis was away while events were published."
    told = json.loads(answer.stdout)
    # Five events of three transactions; nobody's are the same one five times.
    assert told.pop("payloads") == 15
    assert told.pop("no Redis").startswith("Redis is away, so that something was left out: ")
    assert told == {
        "more than nothing": "There are 3 rows in the hand-written outbox, and not 0.",
        "no event": "There are 0 events in the outbox, and not 3.",
        "one event of five": "There are 3 events in the outbox, and not 15.",
        "no row": "There are 0 rows in the hand-written outbox, and not 3.",
        "no rows": "There are 0 rows in the hand-written outbox, and not 15.",
        "no job": "There are 0 jobs in the queue, and not 3.",
        "no jobs": "There are 0 jobs in the queue, and not 15.",
        "late ring": "The doorbell has not rung within 0.1 s. Is Redis there?",
        "no ring": no_ring,
        "silent": no_ring,
        "idle peer": "There are 1 events left, and not 3.",
        "idle peer, five events": "There are 1 events left, and not 15.",
    }


@pytest.mark.processes
@pytest.mark.once
def test_a_database_that_cannot_be_reached_leaves_the_others_their_results(tmp_path: Path) -> None:
    nowhere = f"postgresql://nobody@127.0.0.1:{free_port()}/nothing"
    answer = bench(
        *("--quick", "--rounds=1", "P10"),
        folder=tmp_path,
        databases=("postgresql", "sqlite"),
        BENCH_POSTGRESQL_URL=nowhere,
    )
    assert answer.returncode == 1
    written = json.loads((tmp_path / "results.json").read_text())
    assert [(r["database"], r["trouble"]) for r in written["results"]] == [("sqlite", "")]
    assert list(written["machines"]) == ["sqlite"]
    assert written["troubles"]["sqlite"] == ""
    assert written["troubles"]["postgresql"].startswith("OperationalError: ")
    told = (tmp_path / "results.md").read_text()
    assert f"| bar | postgresql, {WHAT} | sqlite, {WHAT} |" in told
    assert "|  | the run |  | OperationalError: " in told
    assert "| P10 | statements" in told


@pytest.mark.processes
@pytest.mark.once
def test_a_report_without_any_result_takes_the_place_of_none(tmp_path: Path) -> None:
    (tmp_path / "results.md").write_text("earlier")
    nowhere = f"postgresql://nobody@127.0.0.1:{free_port()}/nothing"
    answer = bench(folder=tmp_path, databases=("postgresql",), BENCH_POSTGRESQL_URL=nowhere)
    assert answer.returncode == 1
    assert "OperationalError" in answer.stdout
    assert "There are no results, and nothing is written." in answer.stdout
    assert (tmp_path / "results.md").read_text() == "earlier"


@contextmanager
def bench_in_long_traffic(folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run one measure, and one that takes ten minutes; yield when only that is left."""
    words = ["--quick", "--rounds=1", "--database=sqlite", f"--output={folder}/out"]
    traffic = ["--size=traffic_seconds=600", "P10", "P7"]
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks", *words, *traffic],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(folder)},
        start_new_session=True,
    ) as process:
        try:
            answers = "bench_*/answer.json"
            eventually(lambda: any("P10" in path.read_text() for path in folder.glob(answers)))
            # Redis, the run, its worker and its relay.
            eventually(lambda: len(descendants(process.pid)) == 4)
            yield process
        finally:
            # It has a Redis to end; nothing happens if it has ended.
            process.terminate()


def results_of(folder: Path) -> dict[str, Any]:
    written: dict[str, Any] = json.loads((folder / "out" / "results.json").read_text())
    return written


# As kill does it, as timeout(1) does, and as a terminal does with Ctrl-C.
@pytest.mark.processes
@pytest.mark.once
@pytest.mark.parametrize(
    ("send", "number"),
    [(os.kill, signal.SIGTERM), (os.killpg, signal.SIGTERM), (os.killpg, signal.SIGINT)],
    ids=["kill", "timeout", "Ctrl-C"],
)
def test_a_run_that_is_ended_keeps_its_results_and_leaves_no_processes_and_files(
    send: Callable[[int, int], None], number: int, tmp_path: Path
) -> None:
    with bench_in_long_traffic(tmp_path) as process:
        children = descendants(process.pid)
        send(process.pid, number)
        assert process.wait(PATIENCE) == (1 if number == signal.SIGTERM else -signal.SIGINT)
        eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children))
    assert list(tmp_path.glob("bench_*")) == []
    written = results_of(tmp_path)
    assert written["troubles"] == {"sqlite": "was ended before it was through"}
    assert [(r["number"], r["trouble"]) for r in written["results"]] == [("P10", "")]
    assert "|  | the run |  | was ended before" in (tmp_path / "out" / "results.md").read_text()


@pytest.mark.processes
@pytest.mark.once
def test_a_run_whose_process_is_killed_keeps_its_results(tmp_path: Path) -> None:
    with bench_in_long_traffic(tmp_path) as process:
        # The first: what it has just forked is called like it for a moment.
        child = next(
            pid for pid in descendants(process.pid) if b"benchmarks.run" in command_of(pid)
        )
        # It has no time to end its worker and its relay.
        for pid in [child, *descendants(child)]:
            end(pid)
        assert process.wait(PATIENCE) == 1
    written = results_of(tmp_path)
    assert written["troubles"] == {"sqlite": "its process ended with exit code -9"}
    assert [result["number"] for result in written["results"]] == ["P10"]


def command_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


@pytest.mark.once
def test_a_trouble_takes_one_line_of_the_table_and_all_of_the_json() -> None:
    trouble = f"ValueError: a | b {'x' * 300}\nand more"
    measure = Measure(number="P0", title="t", unit="u", contestants={}, bars=[])
    result = Result(measure=measure, database="sqlite", trouble=trouble)
    result.absent["a"] = "b\nc | d"
    report = Report(
        about=about(Size(), rounds=1),
        results=[result.plain()],
        troubles={"sqlite": "e | f\ng"},
    )
    shown = f"ValueError: a \\| b {'x' * 300}"[:200]
    assert table(report.results, report.troubles)[2:] == [
        "|  | the run |  | e \\| f |",
        f"| P0 | t [u] |  | {shown}… |",
        "|  | a |  | b |",
    ]
    written = json.loads(report.as_json())
    assert written["results"][0]["trouble"] == trouble
    assert written["troubles"] == {"sqlite": "e | f\ng"}
    assert report.failed


@pytest.mark.once
def test_what_could_not_be_measured_is_no_failure_and_what_ended_early_is() -> None:
    measure = Measure(number="P0", title="t", unit="u", contestants={}, bars=[])
    skipped = Result(measure=measure, database="sqlite", trouble="only elsewhere", skipped=True)
    report = Report(about={}, results=[skipped.plain()], troubles={"sqlite": ""})
    assert not report.failed
    report.troubles["sqlite"] = "broken"
    assert report.failed


@pytest.mark.once
def test_a_ratio_to_nothing_leaves_the_figures() -> None:
    bar = Bar(name="a ÷ b", of="a", over="b")
    runs: dict[str, Run] = dict.fromkeys("ab", lambda size: 0.0)
    measure = Measure(number="P0", title="t", unit="u", contestants=runs, bars=[bar])
    found = plain(Result(measure=measure, database="sqlite", rounds=[{"a": 1.0, "b": 0.0}]))
    assert found["trouble"].startswith("ZeroDivisionError: ")
    assert [figures["name"] for figures in found["contestants"]] == ["a", "b"]


@pytest.mark.once
def test_a_ratio_is_taken_within_each_round() -> None:
    """What else the machine does in a round befalls both; ratios of medians would mix rounds."""
    bar = Bar(name="a ÷ b", of="a", over="b", at_most=2.0)
    measure = Measure(number="P0", title="t", unit="u", contestants={}, bars=[bar])
    rounds = [{"a": 2.0, "b": 1.0}, {"a": 30.0, "b": 10.0}, {"a": 1.0, "b": 1.0}]
    result = Result(measure=measure, database="sqlite", rounds=rounds)
    assert result.value(bar) == Spread(median=2.0, least=1.0, greatest=3.0)
    assert result.plain()["bars"][0]["verdict"] == "reached"


@pytest.mark.once
def test_a_trial_has_no_verdicts_where_a_run_has_one() -> None:
    bars = [
        Bar(name="within", of="a", at_most=7.0),
        Bar(name="beyond", of="a", at_most=6.9),
        Bar(name="shown", of="a"),
    ]
    measure = Measure(number="P0", title="t", unit="u", contestants={}, bars=bars)

    def verdicts(size: Size) -> list[str]:
        result = Result(measure=measure, database="sqlite", size=size, rounds=[{"a": 7.0}])
        return [bar["verdict"] for bar in result.plain()["bars"]]

    assert verdicts(Size()) == ["reached", "missed", ""]
    assert verdicts(QUICK) == ["trial", "trial", ""]


@pytest.mark.once
def test_titles_and_bars_tell_the_size_that_was_run() -> None:
    bars = [Bar(name="beside {few:,}", of="a"), Bar(name="a", of="a")]
    title = "draining {events:,} events for {idle_seconds:g} s"
    measure = Measure(number="P0", title=title, unit="u", contestants={}, bars=bars)
    (result,) = measured(
        [replace(measure, contestants={"a": lambda size: 1.0})],
        Size(events=60_000),
        rounds=1,
        database="sqlite",
    )
    told = result.plain()
    assert told["title"] == "draining 60,000 events for 20 s"
    assert [bar["name"] for bar in told["bars"]] == ["beside 10,000", "a"]


@pytest.mark.once
@pytest.mark.parametrize(
    ("bar", "value", "verdict"),
    [
        (Bar(name="n", of="a", at_most=1.4), 1.4, "reached"),
        (Bar(name="n", of="a", at_most=1.4), 1.41, "missed"),
        (Bar(name="n", of="a", at_least=0.9), 0.9, "reached"),
        (Bar(name="n", of="a", at_least=0.9), 0.89, "missed"),
        (Bar(name="n", of="a"), 7.0, ""),
    ],
)
def test_a_bar_judges(bar: Bar, value: float, verdict: str) -> None:
    assert bar.verdict(value) == verdict


@pytest.mark.once
def test_a_trial_has_no_more_rounds_than_asked_for_and_no_variants() -> None:
    measure = Measure(number="P0", title="t", unit="u", contestants={}, bars=[], times=4)
    assert (measure.rounds(2, Size()), measure.rounds(2, QUICK)) == (8, 2)
    assert variant(lambda size: 7.0)(Size()) == 7.0
    with pytest.raises(Absent, match="not part of a trial"):
        variant(lambda size: 7.0)(QUICK)


@pytest.mark.once
def test_each_database_has_a_column_and_what_failed_or_is_missing_says_why() -> None:
    bar = Bar(name="a ÷ b", of="a", over="b", at_most=2.0)
    runs: dict[str, Run] = dict.fromkeys("ab", lambda size: 0.0)
    measure = Measure(number="P0", title="t", unit="u", contestants=runs, bars=[bar])
    rounds = [{"a": 2.0, "b": 1.0}, {"a": 9000.0, "b": 3000.0}, {"a": 1.0, "b": 1.0}]
    results = [
        Result(measure=measure, database="postgresql", rounds=rounds),
        Result(measure=measure, database="mariadb", trouble="ValueError: broken"),
        Result(measure=measure, database="sqlite", rounds=[{"b": 0.5}]),
    ]
    results[2].absent["a"] = "no such thing"
    lines = table([result.plain() for result in results])
    names = ("postgresql", "mariadb", "sqlite")
    assert lines[0] == f"|  | measure | bar | {' | '.join(f'{n}, {WHAT}' for n in names)} |"
    assert lines[2:] == [
        "| P0 | t [u] |  |  | ValueError: broken |  |",
        "|  | a |  | 2.00 (1.00 to 9,000) |  | no such thing |",
        "|  | b |  | 1.00 (1.00 to 3,000) |  | 0.50 (0.50 to 0.50) |",
        "|  | = a ÷ b | ≤ 2 | 2.00 (1.00 to 3.00) reached |  |  |",
    ]
