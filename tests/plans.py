"""How the database goes about a statement."""

import re
from collections.abc import Callable
from typing import Any

from django.db import connection, transaction

READS = ("SELECT", "WITH")
# Of PostgreSQL both are told: the plan for these parameters, and that for any, which a server that
# keeps a statement may keep with it.
PLANS = 2 if connection.vendor == "postgresql" else 1


def plan_of(statement: Callable[[], Any]) -> str:
    """Return how the database goes about the first SELECT that `statement` sends."""
    ((sql, params), *_) = [s for s in sent_by(statement) if s[0].lstrip().startswith(READS)]
    return explained(sql, params)


def sent_by(statement: Callable[[], Any]) -> list[tuple[str, Any]]:
    """Return what is sent, each with its parameters; inside a transaction."""
    sent = []

    def note(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        sent.append((sql, params))
        return execute(sql, params, many, context)

    with transaction.atomic(), connection.execute_wrapper(note):
        statement()
    return sent


def explained(sql: str, params: Any = ()) -> str:
    """Return the plan, or PLANS of them."""
    explain = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
    plan = _rows(f"{explain} {sql}", params)
    return plan if PLANS == 1 else f"{plan}\n{_kept(sql, params)}"


def _kept(sql: str, params: Any) -> str:
    """Return the plan for whatever parameters come."""
    numbers = iter(range(1, len(params or ()) + 1))
    numbered = re.sub("%s", lambda found: f"${next(numbers)}", sql).replace("%%", "%")
    nothing = ", ".join(["NULL"] * len(params or ()))
    with transaction.atomic():
        _run("SET LOCAL plan_cache_mode = force_generic_plan")
        _run(f"PREPARE plan_of AS {numbered}")
        try:
            return _rows(f"EXPLAIN EXECUTE plan_of{nothing and f'({nothing})'}")
        finally:
            _run("DEALLOCATE plan_of")


def _rows(sql: str, params: Any = None) -> str:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return "\n".join(" | ".join(map(str, row)) for row in cursor.fetchall())


def _run(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)
