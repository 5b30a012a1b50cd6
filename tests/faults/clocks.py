"""A host whose clock is wrong. Planted into a test's own child, or for as long as a test lasts."""

import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from typing import Any


def shift(seconds: float, put: Callable[[Any, str, Any], None] = setattr) -> None:
    """Have everything in this process that asks Python for the time get a wrong answer.

    `put` is how a name gets another value: that of pytest's monkeypatch is undone after the test.
    """
    right_time = time.time
    off = timedelta(seconds=seconds)

    class Meta(type):
        def __instancecheck__(cls, value: Any) -> bool:
            return isinstance(value, datetime)

    class Shifted(datetime, metaclass=Meta):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return datetime.now(tz) + off

        @classmethod
        def utcnow(cls) -> Any:
            raise NotImplementedError("nobody asks for this any more")

    put(time, "time", lambda: right_time() + seconds)
    # django.utils.timezone.now() is one of those who get another class.
    for module in list(sys.modules.values()):
        known = vars(module)
        if module is not sys.modules[__name__] and known.get("datetime") is datetime:
            put(module, "datetime", Shifted)
