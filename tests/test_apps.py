"""What importing the library does, and what Django's start does."""

import subprocess
import sys
from pathlib import Path

import pytest
from django.apps import apps
from django.dispatch import Signal

import eda_django
from eda_django import registry, signals
from eda_django.events import types

# The classes that tests.testapp declares.
TESTAPP = [t for t in types if t.name.startswith("testapp.")]


def run(code: str, **environment: str) -> str:
    answer = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={"PATH": "", "PYTHONPATH": str(Path(__file__).parent.parent), **environment},
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.strip()


def test_importing_the_library_needs_no_settings_and_loads_no_model():
    """A model that is imported before Django is set up stops it with AppRegistryNotReady."""
    loaded = run("import sys, eda_django; print(*sorted(sys.modules))").split()
    assert "eda_django.outbox" in loaded
    heavy = ("pydantic", "rq", "django_rq", "redis", "eda_django.models", "django.db.models.base")
    assert [name for name in heavy if name in loaded] == []


def test_events_can_be_declared_before_django_is_set_up():
    code = """
from dataclasses import dataclass
from eda_django import event, publishes, subscribes
@event("a.b")
@dataclass
class Happened:
    number: int
@publishes(Happened)
def happen(): ...
@subscribes(Happened, "c.*")
def note(event): ...
"""
    assert run(f"{code}\nprint('ready')") == "ready"


def test_the_whole_public_api_is_at_the_top():
    assert all(hasattr(eda_django, name) for name in eda_django.__all__)
    assert eda_django.__all__ == sorted(eda_django.__all__)
    assert eda_django.__version__ == "0.1.0"


def test_events_and_subscribers_of_every_app_are_found():
    assert types.get("testapp.order_placed") is not None
    assert {"testapp.reserve", "testapp.bill", "testapp.mail"} <= set(registry.registry.names())


def test_a_broken_subscribers_module_stops_the_start(tmp_path: Path):
    """Swallowed, its subscribers would be unknown to this process, and their events wait."""
    app = tmp_path / "brokenapp"
    app.mkdir()
    (app / "__init__.py").touch()
    (app / "subscribers.py").write_text("import nowhere_to_be_found\n")
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import django
from django.conf import settings
settings.configure(INSTALLED_APPS=["eda_django", "django_rq", "brokenapp"], RQ_QUEUES={{}})
try:
    django.setup()
except ModuleNotFoundError as error:
    print(error)
"""
    assert run(code) == "No module named 'nowhere_to_be_found'"


@pytest.mark.parametrize(
    "signal", [signals.events_committed, signals.delivery_dead, signals.delivery_failed]
)
def test_ready_connects_each_receiver_once(signal: Signal):
    before = len(signal.receivers)
    apps.get_app_config("eda_django").ready()
    assert len(signal.receivers) == before > 0


@pytest.mark.parametrize(
    ("command", "is_ready"), [("rqworker", True), ("rqworker-pool", True), ("runserver", False)]
)
def test_a_worker_reads_no_class_anew_in_each_fork(command: str, is_ready: bool):
    """Forks inherit what their parent has; pydantic alone takes longer than most subscribers."""
    code = f"""
import sys
sys.argv = ["manage.py", {command!r}]
import django
from django.conf import settings
settings.configure(INSTALLED_APPS=["eda_django", "django_rq", "tests.testapp"], RQ_QUEUES={{}})
django.setup()
from eda_django.payloads import adapter
print("pydantic" in sys.modules, adapter.cache_info().currsize, "eda_django.job" in sys.modules)
"""
    assert run(code) == (f"True {len(TESTAPP)} True" if is_ready else "False 0 False")


def test_a_process_that_only_publishes_loads_neither_relay_nor_consumer():
    """Every process of a site pays for what Django's start imports."""
    code = """
import sys
import django
from django.conf import settings
settings.configure(INSTALLED_APPS=["eda_django", "django_rq", "tests.testapp"], RQ_QUEUES={})
django.setup()
print(*sorted(name for name in sys.modules if name.startswith("eda_django.")))
"""
    loaded = set(run(code).split())
    assert {"eda_django.outbox", "eda_django.doorbell"} <= loaded
    others = {"admin", "consumer", "execution", "relay", "dispatch.queues", "dispatch.rq_transport"}
    assert loaded.isdisjoint(f"eda_django.{name}" for name in others)


@pytest.mark.parametrize("is_secure", [False, True])
def test_only_a_secured_site_loads_the_pages_of_django_rq(is_secure: bool):
    """And has them closed before anything else can import them."""
    rq = {"JOB_CLASS": "eda_django.secure.SecureJob"} if is_secure else {}
    code = f"""
import sys
import django
from django.conf import settings
settings.configure(INSTALLED_APPS=["eda_django", "django_rq"], RQ_QUEUES={{}}, RQ={rq})
django.setup()
views = sys.modules.get("django_rq.views")
print(views and (views.Job.__name__, views.Worker.__name__))
"""
    assert run(code) == ("('SecureJob', 'SecureWorker')" if is_secure else "None")
