"""What both decorators ask of the function below them."""

import inspect
from collections.abc import Callable
from typing import Any


def function_problem(function: Any) -> str:
    if isinstance(function, classmethod | staticmethod):
        return f"must stand below @{type(function).__name__}, not above it."
    if (
        isinstance(function, type)
        or not callable(function)
        or not hasattr(function, "__qualname__")
    ):
        return f"must stand on a function, not on {function!r:.100}."
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        return (
            f"can't decorate the generator function {function.__qualname__!r}: calling it runs "
            f"nothing. Return a list instead of yielding."
        )
    return ""


def path_of(function: Callable[..., Any]) -> str:
    return f"{function.__module__}.{function.__qualname__}"
