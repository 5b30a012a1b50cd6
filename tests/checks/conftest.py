"""A site without subscriptions."""

from collections.abc import Iterator

import pytest

from eda_django.registry import registry


@pytest.fixture
def alone() -> Iterator[None]:
    """Hide the subscriptions of the suite's own apps."""
    hidden = list(registry)
    for subscription in hidden:
        registry.remove(subscription.name)
    yield
    for name in registry.names():
        registry.remove(name)
    for subscription in hidden:
        registry.add(subscription)
