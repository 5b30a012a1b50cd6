"""How much memory a call takes, and a Redis that has none left."""

import gc
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


def peak_of(call: Callable[[], Any]) -> int:
    """Return the most bytes that Python had for it at one moment."""
    tracemalloc.start()
    try:
        call()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        # redis-py 5.0 leaves a connection that is not needed any more to the garbage collector, and
        # other tests count them. The collector ends a connection and its socket in any order, and a
        # socket that it comes to first complains.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()
    return most


@contextmanager
def full(client: Any) -> Iterator[None]:
    """Have Redis take nothing new."""
    before = client.config_get("maxmemory")
    client.config_set("maxmemory", 1)
    try:
        yield
    finally:
        client.config_set("maxmemory", before["maxmemory"])
