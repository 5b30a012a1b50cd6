"""Somebody before a browser, with a camera, and an eye on what must not happen."""

from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request

from tests.waiting import PATIENCE

SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
SCHEMES: Any = ("light", "dark")
MODES = [(size, scheme) for size in SIZES for scheme in SCHEMES]
# What axe-core calls a violation of these weights fails the test.
GRAVE = ("serious", "critical")
AXE = "options => axe.run({resultTypes: ['violations'], ...options}).then(one => one.violations)"
CONTRAST = "color-contrast"
# What to look at in which mode: colours are those of the scheme, whatever the screen, and all else
# is the screen's, whatever the scheme. To reckon the colours takes longest.
RULES: dict[tuple[str, str], Any] = {
    ("desktop", "light"): {},
    ("desktop", "dark"): {"runOnly": [CONTRAST]},
    ("phone", "light"): {"rules": {CONTRAST: {"enabled": False}}},
}
IS_STILL = "() => document.getAnimations().every(one => one.playState !== 'running')"


class Visitor:
    """A page of a browser, and whoever looks at it."""

    # Where that is: the names of the pictures begin with it.
    place: ClassVar[str]

    def __init__(self, context: BrowserContext, address: str, screenshots: Path | None) -> None:
        self.context = context
        self.address = address
        self.screenshots = screenshots
        self.complaints: list[str] = []
        self.page: Page = context.new_page()
        self.page.set_default_timeout(PATIENCE * 1000)
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        self.page.on("request", self._check_host)
        self.look("desktop", "light")

    def look(self, size: str, scheme: Any) -> None:
        """Have a screen of this size, and colours of this scheme."""
        self.mode, (self.width, height) = f"{size}-{scheme}", SIZES[size]
        self.page.set_viewport_size({"width": self.width, "height": height})
        self.page.emulate_media(color_scheme=scheme)

    def open(self, path: str) -> int:
        """Open a page of the site and return the status of the answer."""
        answer = self.page.goto(self.address + path)
        assert answer is not None
        return answer.status

    def shoot(self, name: str) -> None:
        """Take a picture of the whole page, if somebody wants to look at it."""
        if self.screenshots is None:
            return
        path = self.screenshots / f"{self.place}-{name}-{self.mode}.png"
        self.page.screenshot(path=path, full_page=True)

    def inspect(self, name: str) -> None:
        """Look at it in every mode; complain of what is wider than the screen, and of axe's."""
        self.page.evaluate(AXE_SCRIPT)
        # What moves for as long as the page is open would never be still.
        self.page.emulate_media(reduced_motion="reduce")
        for mode in MODES:
            self.look(*mode)
            # Colours of links and buttons fade from one scheme into the other.
            self.page.wait_for_function(IS_STILL, polling=50)
            self.shoot(name)
            width = self.page.evaluate("document.documentElement.scrollWidth")
            if width > self.width:
                self.complaints.append(f"{name} is {width} wide, {self.mode}")
            if mode in RULES:
                self._ask_axe(name, RULES[mode])
        self.page.emulate_media(reduced_motion="no-preference")
        self.look(*MODES[0])

    def expects(self, message: ConsoleMessage) -> bool:
        """Return whether this is no reason to complain."""
        return message.type not in ("error", "warning")

    def _ask_axe(self, name: str, options: Any) -> None:
        self.complaints += [
            f"{name}, {self.mode}: {one['id']} {[node['html'] for node in one['nodes']][:3]}"
            for one in self.page.evaluate(AXE, options)
            if one["impact"] in GRAVE
        ]

    def _hear(self, message: ConsoleMessage) -> None:
        if not self.expects(message):
            self.complaints.append(f"console: {message.text} {self.page.url}")

    def _check_host(self, request: Request) -> None:
        target = urlsplit(request.url)
        if target.scheme in ("http", "https", "ws") and not request.url.startswith(self.address):
            self.complaints.append(f"request to {request.url}")
