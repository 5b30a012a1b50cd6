"""Raw statements of the console's figures, and what every database answers to them."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from django.db import connections
from django.utils import timezone

# Names in one statement, where each is a part of a UNION. SQLite takes 500 parts, by default.
NAMES = 200


def first_rows(
    using: str, sql: str, *, part: str, names: Sequence[str], also: Sequence[Any] = ()
) -> Iterator[tuple[Any, ...]]:
    """Yield what `sql` makes of {rows}: what `part` finds for each of these names.

    In `part`, {name} is the name, the first value of it, and {number} its place; the others are
    `also`. PostgreSQL is asked once, the others once for every NAMES names: groups go by the name.
    """
    if connections[using].vendor == "postgresql":
        # Of a UNION it plans each part, which takes it longer than to look at the rows, and from
        # some hundreds on grows much faster than their number.
        of_one = part.format(name="n.name", number="n.number")
        rows = (
            "SELECT p.* FROM unnest(%s::text[]) WITH ORDINALITY n (name, number)"
            f" CROSS JOIN LATERAL ({of_one}) p"
        )
        if names:
            yield from fetch(using, sql.format(rows=rows), [list(names), *also])
        return
    for start in range(0, len(names), NAMES):
        some = names[start : start + NAMES]
        rows = union(part.format(name="%s", number=start + n) for n in range(len(some)))
        values = [value for name in some for value in (name, *also)]
        yield from fetch(using, sql.format(rows=rows), values)


def union(parts: Iterable[str]) -> str:
    # In a SELECT of its own: SQLite takes no LIMIT inside a UNION otherwise.
    return " UNION ALL ".join(f"SELECT * FROM ({part}) p{n}" for n, part in enumerate(parts))


def fetch(using: str, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    with connections[using].cursor() as cursor:
        cursor.execute(sql, params)
        return list(cursor.fetchall())


def moment(value: Any) -> datetime | None:
    # SQLite answers with texts; only PostgreSQL with a time zone.
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if value is None or timezone.is_aware(value):
        return value  # type: ignore[no-any-return]
    return timezone.make_aware(value, timezone.get_fixed_timezone(0))
