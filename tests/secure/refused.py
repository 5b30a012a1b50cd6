"""A worker that is closed to strangers' jobs, and why it refused one."""

from base64 import b64decode
from typing import Any

import django_rq

from tests import attacker

TOKEN = "0" * 32


def work(*queues: str, **options: Any) -> None:
    django_rq.get_worker(*queues or ("fast",)).work(burst=True, **options)


def reason(client: Any, job_id: str) -> str:
    """Return why a job has failed; it must have, and must not be waiting again."""
    assert client.hget(f"rq:job:{job_id}", "status") == b"failed"
    assert not client.llen("rq:queue:fast")
    assert client.zscore("rq:failed:fast", job_id)
    [(_, result)] = client.xrevrange(f"rq:results:{job_id}", count=1)
    text = attacker.unpacked(b64decode(result[b"exc_string"])).decode()
    return text.strip().splitlines()[-1]
