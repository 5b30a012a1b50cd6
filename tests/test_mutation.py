"""Which modules are broken to see what tests notice, and how what came of it is counted.

All modules that decide what becomes of an event.
"""

import inspect
import pkgutil
from configparser import ConfigParser
from pathlib import Path

import pytest

import eda_django
from eda_django.models import BulkOperation, Delivery, OutboxEvent, RelayHeartbeat
from tests import mutants_report
from tests.mutated import ABOUT, PARTS

LIBRARY = Path(eda_django.__file__).parent
ROOT = LIBRARY.parent
# What only shows, or only holds names: a mistake there loses and doubles nothing.
SHOWING = {
    "console_pages",
    "family",
    "groups",
    "indexes",
    "note",
    "outlook",
    "past_operations",
    "progress",
    "raw",
    "search",
    "selection",
    "statistics",
    "status",
    "volumes",
    "windows",
}


def listed() -> set[str]:
    """Return the files that setup.cfg names, by their paths."""
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    names = config["mutmut"]["only_mutate"].split()
    found = {name: [path for path in ROOT.glob(name) if path.suffix == ".py"] for name in names}
    assert [name for name, paths in found.items() if not paths] == []
    return {path.relative_to(LIBRARY).as_posix() for paths in found.values() for path in paths}


def test_every_module_of_the_models_is_broken_but_for_those_that_only_show() -> None:
    names = {path.stem for path in (LIBRARY / "models").glob("*.py")} - {"__init__"}
    broken = {Path(path).stem for path in listed() if path.startswith("models/")}
    assert names - broken == SHOWING


def test_every_module_that_defines_a_verb_is_broken() -> None:
    defining = {
        Path(inspect.getfile(kind)).relative_to(LIBRARY).as_posix()
        for model in (BulkOperation, Delivery, OutboxEvent, RelayHeartbeat)
        for kind in (model, *type(model._default_manager.all()).__mro__)
        if kind.__module__.startswith("eda_django.")
    }
    assert "models/verbs.py" in defining
    assert defining <= listed()


def test_every_module_of_a_part_is_broken_and_every_broken_one_is_of_a_part() -> None:
    modules = [module for part in PARTS.values() for module in part]
    assert len(set(modules)) == len(modules)
    assert {path.split("/")[0].removesuffix(".py") for path in listed()} == set(modules)


def test_tests_are_named_for_every_part_and_exist() -> None:
    assert set(ABOUT) == set(PARTS)
    paths = [path for paths in ABOUT.values() for path in paths]
    # A beginning of names will do.
    assert [path for path in paths if not list((ROOT / "tests").glob(f"{path.rstrip('/')}*"))] == []


# How mutants are counted


def results(**statuses: int) -> dict[str, str]:
    """Return so many mutants of each status in one part, and one that is killed in each other."""
    found = {f"eda_django.{modules[0]}.x_f__mutmut_1": "killed" for modules in PARTS.values()}
    del found["eda_django.retry.x_f__mutmut_1"]
    for status, number in statuses.items():
        for n in range(number):
            found[f"eda_django.retry.x_{status}__mutmut_{n}"] = status.replace("_", " ")
    return found


def complaints(found: dict[str, str], *, are_all_meant: bool = True) -> list[str]:
    parts = mutants_report.count(found)
    return list(mutants_report.complaints(parts, are_all_meant=are_all_meant))


LOW = "retry: fewer than 85 % were killed."


@pytest.mark.once
def test_part_of_which_enough_is_killed_is_well() -> None:
    assert complaints(results(killed=80, timeout=5, survived=10, no_tests=5)) == []
    assert complaints(results(killed=79, timeout=5, survived=10, no_tests=6)) == [LOW]


@pytest.mark.once
@pytest.mark.parametrize(
    "status", ["suspicious", "segfault", "skipped", "check_was_interrupted_by_user", "some_new_one"]
)
def test_mutant_that_ends_in_another_way_is_not_killed_and_tried_again(status: str) -> None:
    assert complaints(results(killed=84, **{status: 16})) == [LOW]
    assert mutants_report.lives("eda_django.retry.x", status.replace("_", " "), [])
    [retry, *_] = mutants_report.count(results(killed=84, **{status: 16}))
    assert retry.line().split() == ["retry", "100", "84", "0", "0", "0", "16", "0", "84.0", "%"]


@pytest.mark.once
def test_mutants_that_were_not_tried_are_too_many_unless_others_were_named() -> None:
    assert complaints(results(killed=99, not_checked=1)) == ["retry: 1 of 100 were not tried."]
    assert complaints(results(killed=99, not_checked=1), are_all_meant=False) == []
    assert complaints(results(not_checked=7)) == ["retry: 7 of 7 were not tried."]
    assert complaints(results()) == ["retry: 0 of 0 were not tried."]
    # They change nothing about the others.
    assert complaints(results(killed=84, survived=16, not_checked=900), are_all_meant=False) == [
        LOW
    ]


@pytest.mark.once
def test_part_of_which_nothing_was_tried_has_no_share() -> None:
    [retry, *_] = mutants_report.count(results(not_checked=7))
    assert retry.line().split() == ["retry", "7", "0", "0", "0", "0", "0", "7"]
    assert len(mutants_report.HEAD) == 8


@pytest.mark.once
def test_mutant_lives_that_was_tried_and_not_killed_and_is_meant() -> None:
    meant = [
        status
        for status in ("killed", "timeout", "not checked", "survived", "no tests")
        if mutants_report.lives("eda_django.retry.x", status, ["*.retry.*"])
    ]
    assert meant == ["survived", "no tests"]
    assert not mutants_report.lives("eda_django.retry.x", "survived", ["*.relay.*"])


@pytest.mark.once
def test_results_of_modules_that_are_gone_count_no_more(tmp_path: Path) -> None:
    results, sources = tmp_path / "mutants", tmp_path
    for name in ("models/here.py", "models/gone.py"):
        meta = results / "eda_django" / f"{name}.meta"
        meta.parent.mkdir(parents=True, exist_ok=True)
        meta.touch()
    (sources / "eda_django/models").mkdir(parents=True)
    (sources / "eda_django/models/here.py").touch()
    found = list(mutants_report.metas(results, sources))
    assert found == [results / "eda_django/models/here.py.meta"]


@pytest.mark.once
def test_mutant_of_a_module_in_no_part_is_named() -> None:
    with pytest.raises(LookupError, match=r"'eda_django\.unknown\.x__mutmut_1' is in no part"):
        mutants_report.part_of("eda_django.unknown.x__mutmut_1")


# Why those that live may

PAGE = """
| Function | Mutants | Why |
|---|---|---|
| `relay.Relay.poll` | 5, 20–22 | The same happens: | and so. |
| `models.locking.writing` | 1 | Nobody sees it. |
| `models.locking.writing` | 2 | |
"""


@pytest.mark.once
def test_page_names_mutants_by_function_and_number() -> None:
    assert mutants_report.named(PAGE) == {
        *(f"relay.Relay.poll {number}" for number in (5, 20, 21, 22)),
        "models.locking.writing 1",
    }


@pytest.mark.once
def test_mutant_that_lives_without_a_reason_is_named() -> None:
    statuses = {
        "eda_django.relay.xǁRelayǁpoll__mutmut_5": "survived",
        "eda_django.relay.xǁRelayǁpoll__mutmut_6": "survived",
        "eda_django.relay.xǁRelayǁ__init____mutmut_7": "no tests",
        "eda_django.models.locking.x_writing__mutmut_2": "suspicious",
        "eda_django.models.locking.x__watch__mutmut_3": "killed",
        "eda_django.models.locking.x__watch__mutmut_4": "not checked",
    }
    assert mutants_report.unnamed(statuses, PAGE) == [
        "models.locking.writing 2",
        "relay.Relay.__init__ 7",
        "relay.Relay.poll 6",
    ]


@pytest.mark.once
def test_page_names_functions_that_are_there() -> None:
    """And each of its lines is read."""
    text = (ROOT / mutants_report.PAGE).read_text()
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    assert len(lines) == len(list(mutants_report.LINE.finditer(text))) > 0
    for name in {name.split()[0] for name in mutants_report.named(text)}:
        assert callable(pkgutil.resolve_name(f"eda_django.{name}")), name
