"""Django's settings for everything that takes part in a soak."""

import os
from datetime import timedelta

from example_project.settings import database
from tests.soak.place import LEASE

SECRET_KEY = "only for tests"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": database(os.environ["SOAK_DATABASE_URL"])}
if server := os.environ["SOAK_SERVER_URL"]:
    # Where the soak's own database is made and dropped from.
    DATABASES["server"] = database(server)
INSTALLED_APPS = ["django.contrib.contenttypes", "django_rq", "eda_django", "tests.testapp"]

REDIS = {"HOST": "127.0.0.1", "PORT": int(os.environ["SOAK_REDIS_PORT"]), "DB": 0}
RQ_QUEUES = {name: {**REDIS, "DEFAULT_TIMEOUT": 60} for name in ("default", "fast", "slow")}

# Short retention, so that finished events are pruned while others are published.
EDA_DJANGO = {
    "SOURCE": "soak",
    "LEASE": LEASE,
    "POLL_INTERVAL": 0.5,
    "RETENTION": timedelta(seconds=120),
}

# The logs, and the times in them.
TIME_ZONE = "UTC"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(process)d %(levelname)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "loggers": {"eda_django": {"handlers": ["console"], "level": "INFO"}},
}
