"""The README's quickstart, performed to the letter in an empty folder."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from example_project.demo.redis_server import RedisServer
from tests.integration.fresh_project import FreshProject
from tests.integration.performing import ends_with, readme_steps
from tests.waiting import eventually

pytestmark = [pytest.mark.processes, pytest.mark.once]


@pytest.fixture
def project(tmp_path: Path, redis_server: RedisServer) -> Iterator[FreshProject]:
    # A database of its own in the suite's Redis, because it has the same queue names.
    project = FreshProject(tmp_path, REDIS_URL=redis_server.url.replace("/0", "/7"))
    yield project
    project.end()


def test_quickstart_works_to_the_letter(project: FreshProject) -> None:
    todo = readme_steps()
    assert {step.what.split(":")[0] for step in todo} == {
        *("install", "run", "settings", "file", "start", "instead", "until", "")
    }
    for number, (what, _, text) in enumerate(todo):
        if what == "install":
            # Installed it is; this checks that what is said installs just that.
            assert text == "pip install eda-django\n"
        elif what == "run":
            project.run(text)
        elif what == "settings":
            project.write("mysite/settings.py", text, append=True)
        elif what.startswith("file: "):
            project.write(what.removeprefix("file: "), text)
        elif what == "start":
            project.start(text)
        elif what == "instead":
            assert project.interrupt() == [0, 0]
            project.start(text)
        elif what == "until":
            assert todo[number + 1].kind == "text"
            expected = todo[number + 1].text.strip()
            eventually(partial(ends_with, project, text, expected), every=0.5)
        else:
            assert todo[number - 1].what == "until"
    assert project.interrupt() == [0]
