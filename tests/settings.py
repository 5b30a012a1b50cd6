"""Django's settings for the suite: the library, a small app of its own, and the shop."""

import os
from typing import Any

import django

from example_project import settings as shop
from example_project.demo.redis_server import free_port
from tests import databases, world

SECRET_KEY = "only for tests"
DEBUG = False
ALLOWED_HOSTS = ["*"]
USE_TZ = True
DEMO_DIR = shop.DEMO_DIR
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TIME_ZONE = "Europe/Berlin"
LANGUAGE_CODE = "en-us"
DATABASES = {alias: databases.config(alias) for alias in ("default", "other")}

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django_rq",
    "eda_django",
    "tests.testapp",
    *shop.SHOP_APPS,
]
MIDDLEWARE = shop.MIDDLEWARE
TEMPLATES = shop.TEMPLATES
ROOT_URLCONF = shop.ROOT_URLCONF
STATIC_URL = "static/"
STATICFILES_DIRS = shop.STATICFILES_DIRS
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
if django.VERSION >= (6, 1):
    # Before, the test runner sees to it that no mail leaves.
    MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}

# The server itself is started by conftest.py; processes that tests start find it here.
REDIS_PORT = int(os.environ.setdefault("EDA_TEST_REDIS_PORT", str(free_port())))
REDIS = {"HOST": "127.0.0.1", "PORT": REDIS_PORT, "DB": 0, "DEFAULT_TIMEOUT": 60}
RQ_QUEUES = {name: dict(REDIS) for name in ("default", "fast", "slow", *shop.RQ_QUEUES)}
RQ_QUEUES["json"] = {**REDIS, "SERIALIZER": "rq.serializers.JSONSerializer"}

EDA_DJANGO: dict[str, Any] = {"SOURCE": "tests"}
if "EDA_TEST_LEASE" in os.environ:
    EDA_DJANGO["LEASE"] = float(os.environ["EDA_TEST_LEASE"])

# Closed to strangers' jobs, as docs/how-to/secure-redis.md tells to.
if "EDA_TEST_SECURE" in os.environ:
    RQ, RQ_QUEUES = world.CLOSED, world.closed(RQ_QUEUES)
    EDA_DJANGO["ALLOWED_JOBS"] = [world.LISTED]

# What the processes say that tests start, tests read.
if "EDA_TEST_CHILD" in os.environ:
    LOGGING = {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"console": {"class": "logging.StreamHandler"}},
        "loggers": {"eda_django": {"handlers": ["console"], "level": "INFO"}},
    }
