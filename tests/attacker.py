"""Somebody who can write to Redis, and to nothing else: jobs written by hand, and traps."""

import json
import os
import pickle
import zlib
from pathlib import Path
from typing import Any
from uuid import uuid4

from eda_django.chunks import JOB
from tests.world import CLOSED

UNLISTED = "tests.attacker.spring"
# A worker of this class needs no process.
SECURE = {**CLOSED, "WORKER_CLASS": "eda_django.secure.SecureSimpleWorker"}


def leave_a_file(path: str) -> None:
    Path(path).touch()


def spring(*args: Any, **kwargs: Any) -> None:
    """Stands for any function that RQ can import: it shows in a file that it was called."""
    Path(os.environ["EDA_TEST_TRAP"]).touch()


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def pickled(path: Path) -> bytes:
    return pickle.dumps(Bomb(path))


def call(name: Any, *args: Any, **kwargs: Any) -> bytes:
    """Return what RQ keeps of a call, for a queue that has JSON."""
    return json.dumps([name, None, args, kwargs]).encode()


def consume_call(*args: Any, **kwargs: Any) -> bytes:
    return call(JOB, *args, **kwargs)


def forge(
    client: Any, data: bytes, *, queue: str = "fast", at_front: bool = False, **fields: Any
) -> str:
    """Write a job, push it, and return its id."""
    job_id = fields.pop("id", None) or f"forged-{uuid4().hex}"
    known = {"created_at": "2026-01-01T00:00:00.000000Z", "origin": queue, "status": "queued"}
    client.hset(f"rq:job:{job_id}", mapping={**known, "data": data, **fields})
    push = client.lpush if at_front else client.rpush
    push(f"rq:queue:{queue}", job_id)
    client.sadd("rq:queues", f"rq:queue:{queue}")
    return str(job_id)


def stolen(client: Any, *, queue: str = "fast") -> list[tuple[str, list[int], dict[str, Any]]]:
    """Read what stands in Redis of the jobs that wait: each one's id, delivery ids and keywords."""
    found = []
    for raw in client.lrange(f"rq:queue:{queue}", 0, -1):
        job_id = raw.decode()
        name, _, args, kwargs = json.loads(unpacked(client.hget(f"rq:job:{job_id}", "data")))
        if name == JOB:
            found.append((job_id, args[0], kwargs))
    return found


def unpacked(data: bytes) -> bytes:
    try:
        return zlib.decompress(data)
    except zlib.error:
        return data
