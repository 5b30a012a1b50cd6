"""Changes of rows that are known by their keys, and of nothing else.

InnoDB locks, and waits for, whatever row a DELETE looks at, and under REPEATABLE READ an UPDATE.
Asked for keys that are a fair part of a table MariaDB reads the whole of it, or takes an index that
has other rows. So the primary key is named. Other databases wait for no row that is not meant.
"""

import json
from collections.abc import Callable
from typing import Any

from django.db import connections, transaction
from django.db.models import QuerySet

from .locking import skip_locked

# A DELETE of one table takes no hint, and in a join without a first table it is not heeded.
_DELETE = """
DELETE {table}
FROM JSON_TABLE(%s, '$[*]' COLUMNS (pk BIGINT PATH '$')) AS chosen
     STRAIGHT_JOIN {table} FORCE INDEX (PRIMARY) ON {table}.id = chosen.pk
"""


def update(rows: QuerySet[Any], **values: Any) -> int:
    """Change rows that are chosen by their keys, perhaps by more; return how many."""
    connection = connections[rows.db]
    if connection.vendor != "mysql":
        return rows.update(**values)
    with connection.execute_wrapper(_name_the_key):
        return rows.update(**values)


def update_free(rows: QuerySet[Any], **values: Any) -> int:
    """Change rows that are chosen by their keys and more; return how many.

    InnoDB waits for a row before it looks whether it is meant. So there those are left out that
    somebody holds, who is about to change them.
    """
    if connections[rows.db].vendor != "mysql":
        return update(rows, **values)
    with transaction.atomic(using=rows.db):
        free = [row.pk for row in skip_locked(rows.only("id"))]
        return update(rows.filter(pk__in=free), **values) if free else 0


def delete(rows: QuerySet[Any]) -> None:
    """Delete rows, and nothing that refers to them."""
    if connections[rows.db].vendor != "mysql":
        rows._raw_delete(rows.db)
        return
    # Read without a lock: what tells which rows are meant may be others, in anybody's hands.
    ids = list(rows.values_list("pk", flat=True))
    if ids:
        sql = _DELETE.strip().format(table=rows.model._meta.db_table)
        with connections[rows.db].cursor() as cursor:
            cursor.execute(sql, [json.dumps(ids)])


def _name_the_key(
    execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any
) -> Any:
    if sql.startswith("UPDATE "):
        # The first one: what stands before it is the table's name.
        sql = sql.replace(" SET ", " FORCE INDEX (PRIMARY) SET ", 1)
    return execute(sql, params, many, context)
