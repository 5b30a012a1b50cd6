"""The Celery application of the sites that have one, as in a project's celery.py."""

import os

if os.environ["BENCH_PEER"] == "celery_outbox":
    from django_celery_outbox import OutboxCelery as Celery
else:
    from celery import Celery

app = Celery("bench")
app.config_from_object("django.conf:settings", namespace="CELERY")
