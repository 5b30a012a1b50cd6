"""Connections to Redis: their time limits, and what they share."""

from typing import Any

import django_rq
import pytest
import redis

from eda_django.dispatch import connections
from tests.integration.servers import hanging_server

SENTINEL = {"SENTINELS": [("127.0.0.1", 1)], "MASTER_NAME": "m", "SOCKET_TIMEOUT": 99}


class TestConnection:
    """No call to Redis may last for ever, however the site has written down where it is."""

    # redis-py 5.0 leaves the socket of a failed connect to the garbage collector.
    @pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
    @pytest.mark.parametrize(
        "config",
        [
            {"HOST": "127.0.0.1", "PORT": 1, "DB": 0},
            {"HOST": "h", "PORT": 1, "REDIS_CLIENT_KWARGS": {"socket_timeout": 99}},
            {"URL": "redis://127.0.0.1:1/0"},
            {"URL": "rediss://127.0.0.1:1/0?socket_timeout=99", "DB": 0},
            {"UNIX_SOCKET_PATH": "/nowhere", "DB": 0},
            SENTINEL,
        ],
        ids=lambda config: next(iter(config)),
    )
    def test_connection_has_a_time_limit(self, settings: Any, config: dict[str, Any]) -> None:
        settings.RQ_QUEUES = {"q": config}
        with connections.connect("q", 0.25) as connection:
            options = connection.connection_pool.connection_kwargs
            assert options["socket_timeout"] == options["socket_connect_timeout"] == 0.25
            assert options["retry"]._retries == 0
            with pytest.raises(redis.exceptions.ConnectionError):
                connection.ping()

    def test_sentinels_have_a_time_limit(self, settings: Any) -> None:
        """They are asked first, and by default wait for ever."""
        with hanging_server() as server:
            settings.RQ_QUEUES = {"q": {**SENTINEL, "SENTINELS": [("127.0.0.1", server.port)]}}
            connection: Any = connections.connect("q", 0.05)
            (sentinel,) = connection.connection_pool.sentinel_manager.sentinels
            options = sentinel.connection_pool.connection_kwargs
            assert options["socket_timeout"] == options["socket_connect_timeout"] == 0.05
            with pytest.raises(redis.exceptions.ConnectionError, match="No master found"):
                connection.ping()
            assert server.connections

    def test_connection_of_the_cache_is_left_alone(
        self, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shared = redis.Redis(socket_timeout=99)
        monkeypatch.setattr(django_rq, "get_connection", lambda name: shared)
        settings.RQ_QUEUES = {"q": {"USE_REDIS_CACHE": "default"}}
        assert connections.connect("q", 0.25) is shared
        assert shared.connection_pool.connection_kwargs["socket_timeout"] == 99
