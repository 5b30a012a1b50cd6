"""What stands in for clock, transport and database in the tests of the relay."""

from collections.abc import Callable
from typing import Any

from eda_django import Event


def nothing(seen: Event[Any]) -> None:
    return


class Clock:
    """A clock that goes on when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def failing(beginning: str, error: Exception, *, table: str = "") -> Callable[..., Any]:
    """Return an execute wrapper that answers statements with this in them with an error.

    With `table`, those only that name it.
    """

    def wrapper(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if beginning in sql and table in sql:
            raise error
        return execute(sql, params, many, context)

    return wrapper
