"""What a session of the demo says at its end, and the exit code that it returns."""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from example_project.demo import session
from example_project.demo.audit import Audit
from example_project.demo.place import Place
from example_project.demo.report import Report
from example_project.demo.run import Run
from example_project.demo.switches import Switches
from example_project.demo.tally import Tally

SETTLED = Tally(published=1, waiting=0, delivered=1, retried=0, dead=0)


class OpenShop:
    """Stands for the shop: has an address, and no processes."""

    address = "http://127.0.0.1:1/"
    supervisor = None

    def __init__(self, folder: Path) -> None:
        self.place = Place(folder)

    def provide_redis(self) -> None: ...

    def load(self, *, customers: int) -> int:
        return 0

    def open(self) -> None: ...


@pytest.mark.parametrize(
    ("audit", "code", "complaint"),
    [
        (Audit(), 0, ""),
        (Audit(lost=["order 7: no [mail]"]), 1, "lost: order 7: no [mail]\n"),
        (Audit(doubled=["order 7: 1 charge too many"]), 1, "doubled: order 7: 1 charge too many\n"),
    ],
)
def test_a_session_fails_and_complains_if_anything_is_lost_or_doubled(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, audit: Audit, code: int, complaint: str
) -> None:
    report = Report(visits=[], audit=audit, tally=SETTLED, seconds=1.0)
    monkeypatch.setattr(Run, "serve", lambda run, orders: report)
    shop: Any = OpenShop(tmp_path)
    said = io.StringIO()
    console = Console(file=said, soft_wrap=True)
    assert session._run(shop, Switches(tmp_path), console, 1) == code
    assert said.getvalue().rpartition("┘\n")[2] == complaint
