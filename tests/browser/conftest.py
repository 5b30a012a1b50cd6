"""One demo for all of these tests, and the Chromium of this machine to look at it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.demo import DemoProcess, running_demo
from tests.waiting import PATIENCE

from .chromium import MISSING, find_chromium
from .customers import Customer
from .operators import Office, hire
from .shop import start_afresh

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    # Drawing, which no card does here, takes less without a process of its own.
    "--in-process-gpu",
)
FOLDER = Path(__file__).parent


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bring these tests together, in their order: the demo runs from the first to the last."""
    ours = [item for item in items if FOLDER in item.path.parents]
    if ours:
        place = items.index(ours[0])
        others = [item for item in items[place:] if item not in ours]
        items[place:] = [*ours, *others]


@pytest.fixture(scope="package")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoProcess]:
    """Run the demo, and hire its staff. What is in its outbox is anybody's: see `demo`."""
    with running_demo(tmp_path_factory.mktemp("browser") / "demo") as running:
        running.address()
        hire(running)
        yield running


@pytest.fixture
def demo(stand: DemoProcess) -> DemoProcess:
    """Return the demo with an empty outbox."""
    start_afresh(stand)
    return stand


# No longer than these tests: its event loop would have Django refuse the others their databases.
@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    path = find_chromium()
    if path is None:
        # Without one a developer can do everything else; CI leaves nothing out.
        pytest.fail(MISSING) if os.environ.get("CI") else pytest.skip(MISSING)
    expect.set_options(timeout=PATIENCE * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def badges() -> dict[str, list[object]]:
    """Return the cookies of those who have logged in: once is enough for all tests."""
    return {}


@pytest.fixture
def office(
    chromium: Browser, stand: DemoProcess, screenshots: Path | None, badges: dict[str, list[object]]
) -> Iterator[Office]:
    """Return where operators sit down."""
    with Office(chromium, stand.address(), screenshots, badges) as opened:
        yield opened


@pytest.fixture
def customer(chromium: Browser, stand: DemoProcess, screenshots: Path | None) -> Iterator[Customer]:
    """Return somebody at the shop, whose cart is empty."""
    context = chromium.new_context()
    yield Customer(context, stand.address(), screenshots)
    context.close()


@pytest.fixture
def screenshots() -> Path | None:
    """Return where pictures go: to EDA_SCREENSHOTS, if somebody wants to look at them.

    Else none are taken, which saves a seventh of the work of these tests.
    """
    if not (named := os.environ.get("EDA_SCREENSHOTS")):
        return None
    folder = Path(named)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
