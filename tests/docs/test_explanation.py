"""The pages that explain name the states, verbs, modules and floors that there are."""

import re
from configparser import ConfigParser

from eda_django.models import Status
from eda_django.models.operator_verbs import OperatorVerbs
from eda_django.models.outbox import OutboxQuerySet
from eda_django.models.verbs import DeliveryQuerySet
from tests.docs.pages import DOCS, ROOT, named, read, rows, section


def test_life_of_a_delivery_has_every_status() -> None:
    text = read(DOCS / "explanation/life-of-a-delivery.md").split("## Every transition")[0]
    assert {named(cells[0]) for cells in rows(text)} == set(Status.values)


def test_life_of_a_delivery_names_verbs_that_exist() -> None:
    text = read(DOCS / "explanation/life-of-a-delivery.md")
    verbs = {named(cells[0]) for cells in rows(section_of_transitions(text))}
    assert verbs
    known = {*vars(DeliveryQuerySet), *vars(OperatorVerbs), *vars(OutboxQuerySet)}
    assert verbs <= known


def test_life_of_a_delivery_draws_every_transition_and_no_other() -> None:
    """The arrows of the diagram are the rows of the table: from where, to where, by which verb."""
    text = read(DOCS / "explanation/life-of-a-delivery.md")
    drawn = {
        (start.replace("[*]", ""), end.replace("[*]", ""), verb)
        for start, end, verbs in re.findall(r"^ +(\S+) --> (\S+): (.+)$", text, re.MULTILINE)
        for verb in re.findall(r"[a-z_]+", re.sub(r"\(.*?\)", "", verbs))
    }
    listed = {
        (start, end, named(verb))
        for verb, origin, target, *_ in rows(section_of_transitions(text))
        for start in statuses_in(origin)
        for end in statuses_in(target)
    }
    assert drawn == listed


def statuses_in(cell: str) -> list[str]:
    """Return the statuses that a cell names; what is in brackets is none."""
    return re.findall(r"`(\w+)`", cell) or [""]


def section_of_transitions(text: str) -> str:
    return text.split("## Every transition")[1].split("\n## ")[0]


def test_architecture_page_has_every_module_and_no_other() -> None:
    package = ROOT / "eda_django"
    in_code = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        if path.stat().st_size and "migrations" not in path.parts
    }
    # A package of several modules is spoken of by its modules.
    packages = ("models", "admin", "payloads", "dispatch", "decorators")
    in_code -= {f"{name}/__init__.py" for name in packages}
    text = section(DOCS / "explanation/architecture.md", "Every module")
    assert {named(cells[0]) for cells in rows(text)} == in_code


def test_architecture_page_draws_the_floors_of_the_contract() -> None:
    contract = ConfigParser()
    contract.read(ROOT / "setup.cfg")
    floors = contract["importlinter:contract:floors"]["layers"].split("\n")[1:]
    text = section(DOCS / "explanation/architecture.md", "The floors")
    drawn = text.split("```")[1].strip().splitlines()
    # A remark may stand beside a floor.
    assert [re.split(" {2,}", line)[0] for line in drawn] == floors
