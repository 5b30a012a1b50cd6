"""docs/quickstart.md, performed to the letter in the project that the README's has made."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from example_project.demo.redis_server import RedisServer, free_port
from tests.integration.fresh_project import FreshProject
from tests.integration.performing import Step, change, ends_with, readme_steps, steps
from tests.integration.processes import ROOT
from tests.waiting import eventually

pytestmark = [pytest.mark.processes, pytest.mark.once]


@pytest.fixture
def project(tmp_path: Path, redis_server: RedisServer) -> Iterator[FreshProject]:
    # A database of its own in the suite's Redis, because it has the same queue names.
    project = FreshProject(tmp_path, REDIS_URL=redis_server.url.replace("/0", "/8"))
    for step in readme_steps():
        if "place_order(" not in step.text or step.what.startswith("file: "):
            write_or_run(project, step)
    yield project
    project.end()


def write_or_run(project: FreshProject, step: Step) -> None:
    what, _, name = step.what.partition(": ")
    if what == "run":
        project.run(step.text)
    elif what == "settings":
        project.write("mysite/settings.py", step.text, append=True)
    elif what == "file":
        project.write(name, step.text)
    elif what == "add":
        project.write(name, f"\n\n{step.text}", append=True)
    elif what == "change":
        project.write(name, change((project.folder / name).read_text(), step.text))


def serve(project: FreshProject, command: str) -> None:
    """Start the web server on a port of its own, and look into the admin."""
    address = f"127.0.0.1:{free_port()}"
    project.start(f"{command.strip()} --noreload {address}")
    eventually(partial(shows_the_admin, address))


def shows_the_admin(address: str) -> bool:
    try:
        with urlopen(f"http://{address}/admin/", timeout=5) as page:
            return "Django administration" in page.read().decode()
    except URLError:
        return False


def test_longer_quickstart_works_to_the_letter(project: FreshProject) -> None:
    todo = steps((ROOT / "docs/quickstart.md").read_text())
    assert {step.what.split(":")[0] for step in todo} == {
        *("run", "settings", "file", "add", "change", "start", "web", "restart", "until", "")
    }
    for number, step in enumerate(todo):
        if step.what == "start":
            project.start(step.text)
        elif step.what == "web":
            serve(project, step.text)
        elif step.what == "restart":
            assert set(project.interrupt()) == {0}
            for command in step.text.splitlines():
                project.start(command)
        elif step.what == "until":
            assert todo[number + 1].kind == "text"
            expected = todo[number + 1].text.strip()
            # To ask takes a second of work, which is what it waits for, too.
            eventually(partial(ends_with, project, step.text, expected), every=2.0)
        else:
            write_or_run(project, step)
    assert project.interrupt() == [0, 0, 0]
