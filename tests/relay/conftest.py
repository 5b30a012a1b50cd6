"""What the tests of the relay start from."""

from typing import Any

import pytest

from eda_django.registry import registry


@pytest.fixture(autouse=True)
def _keep_subscriptions() -> Any:
    kept = [registry.get(name) for name in registry.names()]
    yield
    for subscription in kept:
        if subscription and not registry.get(subscription.name):
            registry.add(subscription)
