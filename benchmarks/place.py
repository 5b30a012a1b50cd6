"""A database and a Redis for one run, gone after it."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from example_project.demo.redis_server import RedisServer

DATABASES = ("postgresql", "mariadb", "sqlite")
URLS = {
    "postgresql": ("BENCH_POSTGRESQL_URL", "postgresql://postgres@127.0.0.1:5432/postgres"),
    "mariadb": ("BENCH_MARIADB_URL", "mysql://root@127.0.0.1:3306/mysql"),
}

# As docs/how-to/databases.md advises.
PREPARED = {"server_side_binding": True, "prepare_threshold": 5}


@contextmanager
def place(
    database: str, *, flush_ms: float = 0.0, prepared: bool = False
) -> Iterator[dict[str, str]]:
    """Make an empty database and start a Redis; yield the environment that leads to them.

    On PostgreSQL each commit waits for `flush_ms` milliseconds more before the log goes to the
    disk, as if that were a slower one. With `prepared`, Django has the server bind the parameters
    and keep the statements that come again.
    """
    with (
        tempfile.TemporaryDirectory(prefix="bench_") as folder,
        _database(database, Path(folder), flush_ms) as url,
        RedisServer(Path(folder)) as redis,
    ):
        yield {
            "BENCH_DATABASE": database,
            "BENCH_DATABASE_URL": url,
            "BENCH_REDIS_URL": redis.url,
            "BENCH_FOLDER": folder,
            "BENCH_DATABASE_OPTIONS": json.dumps(PREPARED if prepared else {}),
            "DJANGO_SETTINGS_MODULE": "benchmarks.settings",
        }


@contextmanager
def _database(database: str, folder: Path, flush_ms: float) -> Iterator[str]:
    if database == "sqlite":
        yield f"sqlite:///{folder}/bench.sqlite3"
        return
    variable, default = URLS[database]
    url = os.environ.get(variable, default)
    name = f"bench_{os.getpid()}"
    force = " WITH (FORCE)" if database == "postgresql" else ""
    _run(database, url, f"CREATE DATABASE {name}")
    try:
        if flush_ms:
            _run(database, url, f"ALTER DATABASE {name} SET commit_delay = {flush_ms * 1000:.0f}")
            # How many others must be in a transaction for it to wait at all.
            _run(database, url, f"ALTER DATABASE {name} SET commit_siblings = 0")
        yield urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
    finally:
        _run(database, url, f"DROP DATABASE {name}{force}")


def _run(database: str, url: str, statement: str) -> None:
    if database == "postgresql":
        import psycopg

        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(statement.encode())
        return
    import pymysql

    parts = urlsplit(url)
    with (
        pymysql.connect(
            host=parts.hostname,
            port=parts.port or 3306,
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)
