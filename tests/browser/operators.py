"""Operators at the console, and the office that they sit in."""

import os
import re
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage

from tests.demo import PRIVATE, DemoProcess
from tests.waiting import PATIENCE

from .shop import SUBSCRIBER
from .visitors import Visitor

PASSWORD = "woken at night"
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
        self, browser: Browser, address: str, screenshots: Path | None, badges: dict[str, Any]
    ) -> None:
        self.browser = browser
        self.address = address
        self.screenshots = screenshots
        self.badges = badges
        self.operators: list[Operator] = []

    def seat(self, name: str, *, scripts: bool = True) -> "Operator":
        """Return an operator who is logged in."""
        context = self.browser.new_context(java_script_enabled=scripts)
        operator = Operator(context, self.address, self.screenshots)
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


class Operator(Visitor):
    """Somebody at the console."""

    place = "console"

    def log_in(self, name: str) -> None:
        self.open("admin/login/?next=/admin/")
        self.page.fill("#id_username", name)
        self.page.fill("#id_password", PASSWORD)
        self.page.click("input[type=submit]")
        self.page.wait_for_url("**/admin/")

    def go(self, path: str) -> int:
        """Open a page of the console and return the status of the answer."""
        return self.open(f"admin/eda_django/{path}")

    def open_group(self) -> None:
        """Open the group of the payments that fail."""
        self.go("failure/")
        self.page.get_by_role("link", name=re.compile(re.escape(SUBSCRIBER))).first.click()

    def press(self, button: str) -> None:
        self.page.get_by_role("button", name=button, exact=True).click()

    def expects(self, message: ConsoleMessage) -> bool:
        # Django's admin names no icon, so that browsers ask for the site's.
        is_icon = message.location["url"].endswith("/favicon.ico")
        return is_icon or super().expects(message)
