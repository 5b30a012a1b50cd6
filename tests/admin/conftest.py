"""What the tests of the console's pages start from."""

import pytest

from eda_django.dispatch.queues import QueueState


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> list[QueueState]:
    """Stand for Redis: queues that are empty, each with a worker."""
    queues = [QueueState(name="default", depth=0, workers=1)]
    monkeypatch.setattr("eda_django.admin.overview.queue_states", lambda: queues)
    return queues
