"""Which modules are broken to see what tests notice: all that decide what becomes of an event."""

import inspect
from configparser import ConfigParser
from pathlib import Path

import eda_django
from eda_django.models import BulkOperation, Delivery, OutboxEvent, RelayHeartbeat
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
