"""Django's settings of a run; where its database and its Redis are, the environment says."""

import json
import os
from typing import Any

import dj_database_url

from example_project.mysql import driver_options, use_pymysql

use_pymysql()

SECRET_KEY = "only for measuring"  # noqa: S105
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

_database: dict[str, Any] = dict(dj_database_url.parse(os.environ["BENCH_DATABASE_URL"]))
_database.setdefault("OPTIONS", {}).update(json.loads(os.environ["BENCH_DATABASE_OPTIONS"]))
if _database["ENGINE"].endswith("mysql"):
    _database["OPTIONS"] = {"charset": "utf8mb4", **driver_options(_database["HOST"])}
if _database["ENGINE"].endswith("sqlite3"):
    _database["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
DATABASES = {"default": _database}


# The console stands in the admin, which needs all of this.
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_rq",
    "eda_django",
    "benchmarks.business",
    "benchmarks.shop",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
ROOT_URLCONF = "benchmarks.urls"
STATIC_URL = "static/"
ALLOWED_HOSTS = ["testserver"]
RQ_QUEUES = {"default": {"URL": os.environ["BENCH_REDIS_URL"], "DEFAULT_TIMEOUT": 60}}
EDA_DJANGO = {"SOURCE": "bench"}

# What relays and workers have to say goes to their logs; only trouble is worth reading.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {"eda_django": {"handlers": ["console"], "level": "WARNING"}},
}
