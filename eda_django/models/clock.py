"""The database's clock, the only one that leases and due times are reckoned by."""

from typing import Any

from django.db.models import DateTimeField, FloatField, Func, Value


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
    "sqlite": ("STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f000', 'now', PRINTF('%%.6f seconds', %s))"),
}


class _After(Func):
    """The time in so many seconds, reckoned by the database.

    Not DatabaseNow() plus a timedelta: on SQLite Django would do that in Python, and an alarm that
    comes there is reported as an error of SQLite's.
    """

    output_field = DateTimeField()

    def as_sql(self, compiler: Any, connection: Any, *args: Any, **context: Any) -> Any:
        (seconds,) = self.source_expressions
        sql, params = compiler.compile(seconds)
        return AFTER_SQL[connection.vendor].replace("%s", sql), params


def after(seconds: float) -> Func:
    """Return the database's time in (or, if negative, before) so many seconds."""
    return _After(Value(seconds, output_field=FloatField()))
