"""Somebody at the console, with a camera, and an eye on what must not happen."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, Request

from tests.demo import PRIVATE, DemoProcess
from tests.waiting import PATIENCE

PASSWORD = "woken at night"
SIZES = {"desktop": (1280, 900), "phone": (390, 844)}
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


def shell(demo: DemoProcess, code: str) -> str:
    """Run Python in the demo's own settings, and return what it prints."""
    env = {name: value for name, value in os.environ.items() if name not in PRIVATE}
    env |= {"DEMO_DIR": str(demo.folder), "DJANGO_SETTINGS_MODULE": "example_project.settings"}
    done = subprocess.run(
        [sys.executable, "manage.py", "shell", "-v", "0", "-c", code],
        env=env,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def hire(demo: DemoProcess) -> None:
    """Make the staff."""
    shell(demo, HIRE.format(staff=STAFF, password=PASSWORD))


class Operator:
    """A browser of one size and colour scheme, and whoever sits before it."""

    def __init__(
        self,
        browser: Browser,
        demo: DemoProcess,
        screenshots: Path,
        *,
        size: str = "desktop",
        scheme: Any = "light",
        scripts: bool = True,
    ) -> None:
        width, height = SIZES[size]
        self.width = width
        self.address = demo.address()
        self.screenshots = screenshots
        self.name = f"{size}-{scheme}"
        self.complaints: list[str] = []
        self.context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            java_script_enabled=scripts,
        )
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE * 1000)
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        self.page.on("request", self._check_host)

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

    def press(self, button: str) -> None:
        self.page.get_by_role("button", name=button, exact=True).click()

    def shoot(self, name: str) -> None:
        path = self.screenshots / f"console-{name}-{self.name}.png"
        self.page.screenshot(path=path, full_page=True)

    def inspect(self, name: str) -> None:
        """Take a picture; complain of what is wider than the screen, and of what axe finds."""
        self.shoot(name)
        width = self.page.evaluate("document.documentElement.scrollWidth")
        if width > self.width:
            self.complaints.append(f"{name} is {width} wide on {self.width}")
        found = Axe().run(self.page).response["violations"]
        self.complaints += [
            f"{name}: {one['id']} {[node['html'] for node in one['nodes']][:3]}"
            for one in found
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
