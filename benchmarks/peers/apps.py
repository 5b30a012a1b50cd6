"""The app that has Django import the site's module, as a site's own apps would be imported."""

import os
from importlib import import_module

from django.apps import AppConfig


class PeersConfig(AppConfig):
    name = "benchmarks.peers"
    label = "bench_peers"

    def ready(self) -> None:
        import_module(f"benchmarks.peers.sites.{os.environ['BENCH_PEER']}")
