"""Celery: delay_on_commit(), as its documentation advises for Django."""

from benchmarks.peers.celery_site import CelerySite

SITE = CelerySite()
