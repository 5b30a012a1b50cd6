"""A worker that is back as soon as Redis is."""

from rq import SimpleWorker


class PromptWorker(SimpleWorker):
    """Asks for a Redis that is away every few seconds, however long it stays away."""

    max_connection_wait_time = 4.0
