"""Django's settings of a run; where its database and its Redis are, the environment says."""

import os
from typing import Any

import dj_database_url

from example_project.mysql import driver_options, use_pymysql

use_pymysql()

SECRET_KEY = "only for measuring"  # noqa: S105
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

_database: dict[str, Any] = dict(dj_database_url.parse(os.environ["BENCH_DATABASE_URL"]))
if _database["ENGINE"].endswith("mysql"):
    _database["OPTIONS"] = {"charset": "utf8mb4", **driver_options(_database["HOST"])}
if _database["ENGINE"].endswith("sqlite3"):
    _database["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
DATABASES = {"default": _database}

INSTALLED_APPS = ["django_rq", "eda_django", "benchmarks.business", "benchmarks.shop"]
RQ_QUEUES = {"default": {"URL": os.environ["BENCH_REDIS_URL"], "DEFAULT_TIMEOUT": 60}}
EDA_DJANGO = {"SOURCE": "bench"}

# What relays and workers have to say goes to their logs; only trouble is worth reading.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {"eda_django": {"handlers": ["console"], "level": "WARNING"}},
}
