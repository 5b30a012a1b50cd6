"""Django's settings of the example shop. A few environment variables say where it runs."""

import os
from pathlib import Path
from typing import Any

import dj_database_url
import django

from example_project.mysql import driver_options
from example_project.services import SERVICES

BASE_DIR = Path(__file__).resolve().parent
DEMO_DIR = Path(os.environ.get("DEMO_DIR") or BASE_DIR.parent / ".demo")
REDIS_URL = os.environ.get("REDIS_URL") or "redis://127.0.0.1:6379/0"

DEBUG = os.environ.get("DEBUG", "1") == "1"
SECRET_KEY = "for the demo on this machine only, it protects nothing"  # noqa: S105
ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]"]


def database(url: str) -> dict[str, Any]:
    """Return Django's settings for a database URL, with what each vendor needs."""
    return _complete(dict(dj_database_url.parse(url)))


def own_database(folder: Path) -> dict[str, Any]:
    """Return the settings for a SQLite file in this folder, which may have any name."""
    # Not by a URL, in which # and ? end the path.
    name = str(folder / "shop.sqlite3")
    return _complete({"ENGINE": "django.db.backends.sqlite3", "NAME": name})


def _complete(config: dict[str, Any]) -> dict[str, Any]:
    options: dict[str, Any] = config.setdefault("OPTIONS", {})
    if config["ENGINE"].endswith("sqlite3"):
        Path(config["NAME"]).parent.mkdir(parents=True, exist_ok=True)
        # IMMEDIATE waits for the one writer; SQLite's default gives up at once instead.
        options |= {
            "transaction_mode": "IMMEDIATE",
            "timeout": 30,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        }
    elif config["ENGINE"].endswith("mysql"):
        options |= {"charset": "utf8mb4", "isolation_level": "read committed"}
        options |= driver_options(str(config["HOST"]))
    return config


# In small letters, so that it is no setting: an error page would show its password.
url = os.environ.get("DATABASE_URL")
DATABASES = {"default": database(url) if url else own_database(DEMO_DIR)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

SHOP_APPS = [
    "example_project.orders",
    "example_project.inventory",
    "example_project.payments",
    "example_project.billing",
    "example_project.notifications",
    "example_project.backstage",
]
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_rq",
    "eda_django",
    *SHOP_APPS,
]
MIDDLEWARE = [
    "example_project.process.named",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "example_project.csp.strict",
]
ROOT_URLCONF = "example_project.urls"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "example_project.orders.cart.in_every_page",
            ],
        },
    },
]
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]

# In the cookie, so that filling a cart writes nothing to a database that the services share.
SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-gb"

# Django 6.1 has one setting for all of mail, and warns of the older ones.
MAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
MAIL_FOLDER = DEMO_DIR / "mail"
if django.VERSION >= (6, 1):
    MAILERS = {"default": {"BACKEND": MAIL_BACKEND, "OPTIONS": {"file_path": MAIL_FOLDER}}}
else:
    EMAIL_BACKEND, EMAIL_FILE_PATH = MAIL_BACKEND, MAIL_FOLDER
DEFAULT_FROM_EMAIL = "Larkspur & Co. <shop@larkspur.example>"

RQ_QUEUES = {
    name: {"URL": REDIS_URL, "DEFAULT_TIMEOUT": 60}
    for name in ("default", *(service.name for service in SERVICES))
}

EDA_DJANGO = {
    "SOURCE": "shop",
    # Short, so that the demo shows soon what happens after a worker was killed.
    "LEASE": 10.0,
    "POLL_INTERVAL": 1.0,
    "REDACT": ["card", "card_token"],
    # For the demo, to show it; who may publish by hand can do anything that an event can.
    "EDIT_AND_RESEND": True,
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "loggers": {
        "eda_django": {"handlers": ["console"], "level": "INFO"},
        # Without DEBUG Django would send the traceback by mail only.
        "django.request": {"handlers": ["console"], "level": "ERROR", "propagate": False},
    },
}
