"""What a run was made on: versions, and the machine."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

from django.db import connection

from benchmarks import filling

PACKAGES = ("django", "rq", "django-rq", "redis", "pydantic")
DRIVERS = {"postgresql": "psycopg", "mysql": "pymysql"}


def described() -> dict[str, str]:
    """Return what a reader must know to judge the figures."""
    packages = [*PACKAGES, *filter(None, [DRIVERS.get(connection.vendor)])]
    with filling.redis() as client:
        redis = client.info("server")["redis_version"]
    return {
        "machine": f"{os.cpu_count()} x {_processor()}, {_memory()}",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "database": _database(),
        "redis": str(redis),
        "library": version("eda-django"),
        "packages": ", ".join(f"{name} {version(name)}" for name in packages),
    }


def _database() -> str:
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("SELECT 'SQLite ' || sqlite_version()")
            return f"{cursor.fetchone()[0]}, WAL, synchronous=NORMAL"
        if connection.vendor == "mysql":
            cursor.execute("SELECT VERSION(), @@innodb_flush_log_at_trx_commit")
            name, flush = cursor.fetchone()
            return f"{name}, innodb_flush_log_at_trx_commit={flush}"
        cursor.execute("SHOW server_version")
        name = cursor.fetchone()[0]
        settings = []
        for setting in (
            "fsync",
            "synchronous_commit",
            "commit_delay",
            "shared_buffers",
            "autovacuum",
        ):
            cursor.execute(f"SHOW {setting}")
            settings.append(f"{setting}={cursor.fetchone()[0]}")
        kept = connection.settings_dict["OPTIONS"].get("prepare_threshold") is not None
        settings.append(f"statements {'prepared' if kept else 'not prepared'}")
        return f"PostgreSQL {name}, {', '.join(settings)}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _memory() -> str:
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return "memory unknown"
    return f"{size / 2**30:.0f} GiB"
