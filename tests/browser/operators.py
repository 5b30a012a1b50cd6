"""Somebody at the console, with a camera, and an eye on what must not happen."""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, ConsoleMessage, Page, Request

from tests.demo import PRIVATE, DemoProcess
from tests.waiting import PATIENCE

from .shop import SUBSCRIBER

PASSWORD = "woken at night"
SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
SCHEMES: Any = ("light", "dark")
MODES = [(size, scheme) for size in SIZES for scheme in SCHEMES]
# Who is staff, and the permissions of the library that each has; None for a superuser.
STAFF = {
    "root": None,
    "viewer": ["view_outboxevent", "view_delivery", "view_attempt", "view_relayheartbeat"],
    "nobody": [],
}
HIRE = """
from django.contrib.auth.models import Permission, User
for name, permissions in {staff!r}.items():
    made = User.objects.create_user(name, password={password!r}, is_staff=True)
    made.is_superuser = permissions is None
    made.save()
    made.user_permissions.set(Permission.objects.filter(codename__in=permissions or []))
"""
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


def hire(demo: DemoProcess) -> None:
    """Make the staff."""
    env = {name: value for name, value in os.environ.items() if name not in PRIVATE}
    env |= {"DEMO_DIR": str(demo.folder), "DJANGO_SETTINGS_MODULE": "example_project.settings"}
    code = HIRE.format(staff=STAFF, password=PASSWORD)
    done = subprocess.run(
        [sys.executable, "manage.py", "shell", "-v", "0", "-c", code],
        env=env,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr


class Office:
    """Where operators sit down before a browser; when the office is closed, all go home."""

    def __init__(
        self, browser: Browser, address: str, screenshots: Path, badges: dict[str, Any]
    ) -> None:
        self.browser = browser
        self.address = address
        self.screenshots = screenshots
        self.badges = badges
        self.operators: list[Operator] = []

    def seat(self, name: str, *, scripts: bool = True) -> "Operator":
        """Return an operator who is logged in."""
        operator = Operator(self.browser, self.address, self.screenshots, scripts=scripts)
        self.operators.append(operator)
        if name in self.badges:
            operator.context.add_cookies(self.badges[name])
        else:
            operator.log_in(name)
            self.badges[name] = operator.context.cookies()
        return operator

    def __enter__(self) -> "Office":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for operator in self.operators:
            operator.context.close()


class Operator:
    """A browser, and whoever sits before it."""

    def __init__(
        self, browser: Browser, address: str, screenshots: Path, *, scripts: bool = True
    ) -> None:
        self.address = address
        self.screenshots = screenshots
        self.complaints: list[str] = []
        self.context = browser.new_context(java_script_enabled=scripts)
        self.page: Page = self.context.new_page()
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

    def log_in(self, name: str) -> None:
        self.page.goto(f"{self.address}admin/login/?next=/admin/")
        self.page.fill("#id_username", name)
        self.page.fill("#id_password", PASSWORD)
        self.page.click("input[type=submit]")
        self.page.wait_for_url("**/admin/")

    def go(self, path: str) -> int:
        """Open a page of the console and return the status of the answer."""
        answer = self.page.goto(f"{self.address}admin/eda_django/{path}")
        assert answer is not None
        return answer.status

    def open_group(self) -> None:
        """Open the group of the payments that fail."""
        self.go("failure/")
        self.page.get_by_role("link", name=re.compile(re.escape(SUBSCRIBER))).first.click()

    def press(self, button: str) -> None:
        self.page.get_by_role("button", name=button, exact=True).click()

    def shoot(self, name: str) -> None:
        path = self.screenshots / f"console-{name}-{self.mode}.png"
        self.page.screenshot(path=path, full_page=True)

    def inspect(self, name: str) -> None:
        """Take pictures in every mode; complain of what is wider than the screen, and of axe's."""
        self.page.evaluate(AXE_SCRIPT)
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
        self.look(*MODES[0])

    def _ask_axe(self, name: str, options: Any) -> None:
        self.complaints += [
            f"{name}, {self.mode}: {one['id']} {[node['html'] for node in one['nodes']][:3]}"
            for one in self.page.evaluate(AXE, options)
            if one["impact"] in GRAVE
        ]

    def _hear(self, message: ConsoleMessage) -> None:
        # Django's admin names no icon, so that browsers ask for the site's.
        is_icon = message.location["url"].endswith("/favicon.ico")
        if message.type in ("error", "warning") and not is_icon:
            self.complaints.append(f"console: {message.text} {self.page.url}")

    def _check_host(self, request: Request) -> None:
        target = urlsplit(request.url)
        if target.scheme in ("http", "https", "ws") and not request.url.startswith(self.address):
            self.complaints.append(f"request to {request.url}")
