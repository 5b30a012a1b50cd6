"""Transactions that are open at the same time, to be ended in any order."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any
from uuid import UUID

from django.db import connections, transaction

from eda_django import Event, publish
from tests.relaying import HAPPENED


class Transaction:
    """One open transaction, on a connection of its own."""

    def __init__(self) -> None:
        self.events: list[UUID] = []
        self._thread = ThreadPoolExecutor(1)
        self._stack = ExitStack()
        self._do(lambda: self._stack.enter_context(transaction.atomic()))

    def publish(self) -> None:
        self.events.append(self._do(_publish).id)

    def publish_in_vain(self) -> None:
        """Publish inside a savepoint that is rolled back."""

        def work() -> None:
            with transaction.atomic():
                _publish()
                transaction.set_rollback(True)

        self._do(work)

    def end(self, *, commit: bool) -> None:
        def work() -> None:
            transaction.set_rollback(not commit)
            self._stack.close()
            connections.close_all()

        self._do(work)
        self._thread.shutdown()

    def _do(self, work: Callable[[], Any]) -> Any:
        return self._thread.submit(work).result(30)


def _publish() -> Event[Any]:
    return publish(HAPPENED, {})
