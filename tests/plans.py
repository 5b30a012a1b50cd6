"""How the database goes about a statement."""

from typing import Any

from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext


def plan_of(statement: Any) -> str:
    """Return how the database goes about the first SELECT that `statement` sends."""
    with transaction.atomic(), CaptureQueriesContext(connection) as captured:
        statement()
    (sql, *_) = [q["sql"] for q in captured if q["sql"].lstrip().startswith(("SELECT", "WITH"))]
    return explained(sql)


def explained(sql: str) -> str:
    explain = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
    with connection.cursor() as cursor:
        cursor.execute(f"{explain} {sql}")
        return "\n".join(" | ".join(map(str, row)) for row in cursor.fetchall())
