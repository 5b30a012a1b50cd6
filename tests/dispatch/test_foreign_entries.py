"""What else may stand in a queue's list, or be done by a site's own options."""

from typing import Any

from tests.dispatch.queues import a_chunk, alive, push


def test_entries_that_are_no_text_do_not_matter(redis_client: Any) -> None:
    chunk = a_chunk()
    push(chunk)
    redis_client.lpush("rq:queue:fast", b"\xff\xfe")
    assert alive(chunk) == {chunk.token}


def test_a_client_that_decodes_answers_finds_what_is_alive(
    redis_client: Any, settings: Any
) -> None:
    chunk = a_chunk()
    push(chunk)
    decoding = {**settings.REDIS, "REDIS_CLIENT_KWARGS": {"decode_responses": True}}
    settings.RQ_QUEUES = {**settings.RQ_QUEUES, "fast": decoding}
    assert alive(chunk) == {chunk.token}
