"""The demo's switches, folder and arguments; test_demo_processes.py has the whole of it."""

from pathlib import Path

import pytest

from example_project import settings
from example_project.demo import place
from example_project.demo.__main__ import main
from example_project.demo.errors import DemoError
from example_project.demo.place import Place
from example_project.demo.switches import Switches, switches

# Switches


def test_a_service_is_on_until_it_is_turned_off_and_on_again(tmp_path: Path) -> None:
    panel = Switches(tmp_path / "switches")
    assert panel.is_on("payments")
    panel.turn("payments", on=False)
    assert not panel.is_on("payments")
    assert panel.is_on("billing")
    panel.turn("payments", on=True)
    assert panel.is_on("payments")


@pytest.mark.parametrize("name", ["../payments", "", "/etc/passwd", "a/b", "Ünits"])
def test_a_switch_outside_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="can't be the name of a service"):
        Switches(tmp_path).turn(name, on=False)


def test_there_are_switches_only_inside_a_demo(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("DEMO_CONTROL_DIR", raising=False)
    assert switches() is None
    monkeypatch.setenv("DEMO_CONTROL_DIR", str(tmp_path))
    panel = switches()
    assert panel
    assert panel.folder == tmp_path


# The folder, and the arguments


def test_a_second_demo_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    with (
        Place(tmp_path),
        pytest.raises(
            DemoError, match=r"runs already in .*make demo FOLDER=\.demo/second \(.*--folder="
        ),
    ):
        Place(tmp_path).__enter__()
    with Place(tmp_path):
        pass


@pytest.mark.parametrize("name", ["file", "file/below", "link"])
def test_a_folder_that_can_not_be_one_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(DemoError) as refused:
        Place(tmp_path / name).__enter__()
    said = str(refused.value)
    assert said.startswith(f"The folder {tmp_path / name} can't be used: ")
    assert said.endswith(
        "Name one that there is or that can be made: make demo FOLDER=.demo "
        "(without make: --folder=.demo)."
    )


def test_a_demo_starts_afresh_and_leaves_what_is_not_its_own(tmp_path: Path) -> None:
    """The earlier one was killed."""
    own = ["address", "address.new", "gateway_is_back", "logs/web.log", "mail/1.log"]
    own += [f"shop.sqlite3{ending}" for ending in ("", "-journal", "-relay.lock", "-shm", "-wal")]
    put(tmp_path, "lock", "thesis.txt", "address-books/ada", "shop.sqlite3.bak", *own)
    with Place(tmp_path):
        left = {path.name for path in tmp_path.iterdir()}
    assert left == {"lock", "thesis.txt", "address-books", "shop.sqlite3.bak"}


@pytest.mark.parametrize("name", ["logs/mine.log", "address-books/ada", "shop.sqlite3", "lock/a"])
def test_a_folder_that_no_demo_was_in_is_refused_and_left_alone(tmp_path: Path, name: str) -> None:
    put(tmp_path, name)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DemoError) as refused:
        Place(tmp_path).__enter__()
    assert sorted(tmp_path.rglob("*")) == before
    assert str(refused.value) == (
        f"The folder {tmp_path} is not empty, and no demo has been in it. A demo removes what an "
        "earlier one has left, and that might be yours. Move it away, or name a folder that is "
        "new, empty or an earlier demo's: make demo FOLDER=.demo/second (without make: "
        "--folder=.demo/second)."
    )


def test_its_own_folder_is_taken_though_only_manage_py_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert place.OWN == settings.DEMO_DIR
    monkeypatch.setattr(place, "OWN", tmp_path)
    put(tmp_path, "shop.sqlite3", "mail/1.log")
    with Place(tmp_path):
        assert not (tmp_path / "shop.sqlite3").exists()


def test_a_lock_that_says_something_is_no_demos(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("4711")
    with pytest.raises(DemoError, match="no demo has been in it"):
        Place(tmp_path).__enter__()
    assert (tmp_path / "lock").read_text() == "4711"


def test_a_folder_in_which_there_are_only_other_demos_is_taken(tmp_path: Path) -> None:
    with Place(tmp_path / "second"), Place(tmp_path):
        assert {path.name for path in tmp_path.iterdir()} == {"lock", "second"}


def put(folder: Path, *names: str) -> None:
    """Make empty files, and the folders that they are in."""
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()


@pytest.mark.parametrize("count", ["-1", "ten", "1.5", "1e3", "100001"])
def test_a_strange_number_of_orders_is_refused(
    capsys: pytest.CaptureFixture[str], count: str
) -> None:
    with pytest.raises(SystemExit):
        main([f"--orders={count}"])
    assert f"{count!r} is no whole number from 0 to 100000." in capsys.readouterr().err
