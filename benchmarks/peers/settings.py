"""Django's settings of a peer's site. BENCH_PEER says whose; each has a schema of its own."""

import json
import os
from typing import Any

import dj_database_url

PEER = os.environ["BENCH_PEER"]

SECRET_KEY = "only for measuring"  # noqa: S105
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES: dict[str, Any] = {
    "default": {
        **dj_database_url.parse(os.environ["BENCH_DATABASE_URL"]),
        "OPTIONS": {
            **json.loads(os.environ["BENCH_DATABASE_OPTIONS"]),
            "options": f"-c search_path={PEER}",
        },
    }
}

# As each one's documentation says; nothing is tuned.
APPS = {
    "domain_events": [
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django_domain_events",
    ],
    "reliable_outbox": ["reliable_outbox"],
    "celery_outbox": ["django_celery_outbox"],
    "outbox_pattern": ["django_outbox_pattern"],
    "procrastinate_site": ["procrastinate.contrib.django"],
    "celery_on_commit": [],
}
INSTALLED_APPS = [*APPS[PEER], "benchmarks.business", "benchmarks.peers"]

CELERY_BROKER_URL = os.environ["BENCH_PEERS_REDIS_URL"]
CELERY_OUTBOX_APP = "benchmarks.peers.celery_app.app"

_host, _, _port = os.environ["BENCH_STOMP"].rpartition(":")
DJANGO_OUTBOX_PATTERN = {
    "DEFAULT_STOMP_HOST_AND_PORTS": [(_host, int(_port))],
    # The defaults, and that the broker removes the queue ten minutes after the run.
    "DEFAULT_STOMP_QUEUE_HEADERS": {
        "durable": "true",
        "auto-delete": "false",
        "prefetch-count": "1",
        "x-expires": "600000",
    },
}
