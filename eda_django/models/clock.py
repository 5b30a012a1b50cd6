"""The database's clock, the only one that leases and due times are reckoned by."""

from datetime import timedelta
from typing import Any

from django.db.models import DateTimeField, Func
from django.db.models.expressions import Combinable, CombinedExpression


class DatabaseNow(Func):
    """The time now, by the database, in UTC.

    Not Django's Now(): that is local time on MySQL, where Django stores UTC.
    """

    output_field = DateTimeField()

    def as_sql(self, compiler: Any, connection: Any, *args: Any, **context: Any) -> Any:
        return NOW_SQL[connection.vendor], []


NOW_SQL = {
    # Not NOW(): that is the start of the transaction, which may have waited for a lock.
    "postgresql": "STATEMENT_TIMESTAMP()",
    "mysql": "UTC_TIMESTAMP(6)",
    # Texts are compared here, and Django writes six digits: of one time, three are less.
    "sqlite": "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f000', 'now')",
}


# The time in so many seconds, which are the statement's one parameter; for raw SQL.
AFTER_SQL = {
    "postgresql": "STATEMENT_TIMESTAMP() + %s * INTERVAL '1 second'",
    "mysql": "UTC_TIMESTAMP(6) + INTERVAL CAST(%s * 1000000 AS SIGNED) MICROSECOND",
    "sqlite": "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f000', 'now', %s || ' seconds')",
}


def after(seconds: float) -> Combinable | CombinedExpression:
    """Return the database's time in (or, if negative, before) so many seconds."""
    return DatabaseNow() + timedelta(seconds=seconds)
