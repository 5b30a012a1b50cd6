"""The transport without Redis."""

import threading
from uuid import uuid4

from eda_django.inline import InlineTransport
from tests.dispatch.queues import a_chunk


class TestInline:
    def test_stopping_gives_chunks_back(self) -> None:
        chunk = a_chunk()
        inline = InlineTransport(stopping=lambda: True)
        assert inline.push([chunk], using="default") == {chunk.token: ""}

    def test_nothing_is_ever_on_its_way(self) -> None:
        inline = InlineTransport()
        inline.check()
        assert inline.alive({uuid4(): "fast"}) == set()

    def test_wake_ends_the_wait(self) -> None:
        wake = threading.Event()
        wake.set()
        InlineTransport().wait(60.0, using="default", wake=wake)

    def test_wait_ends_after_its_time(self) -> None:
        InlineTransport().wait(0.01, using="default", wake=threading.Event())
