"""RQ's job and workers, for a Redis that others may write to: JSON only, and only listed functions.

RQ finds these classes through its own settings. Nothing here imports models: a worker that was
spawned imports its job class before Django is set up.
"""

import zlib
from collections.abc import Callable, Iterator
from typing import Any

from django_rq import settings as django_rq_settings
from django_rq.jobs import get_job_class
from django_rq.workers import get_worker_class
from redis.exceptions import ResponseError
from rq import SimpleWorker, Worker
from rq.exceptions import DeserializationError, NoSuchJobError
from rq.job import Job
from rq.serializers import JSONSerializer, resolve_serializer

from . import conf
from .chunks import JOB
from .dispatch.jobs import is_one_keys
from .exceptions import RefusedJob
from .job_arguments import shown

# The most bytes that a packed part of a job may have: a small one could be packed memory for all.
MAX_BYTES = 4 * 1_048_576
PACKED = ("data", "exc_info")
# Seconds that a refused job stays in RQ's failed registry. RQ's own is a year.
REFUSED_TTL = 86_400
# The most seconds, thirty years, between a job's tries.
MAX_INTERVAL = 10**9
WORKER_HINT = "set RQ['WORKER_CLASS'], or give it --serializer=rq.serializers.JSONSerializer"


class SecureJob(Job):
    """A job that is read as JSON, and runs the consumer or what EDA_DJANGO["ALLOWED_JOBS"] lists.

    Any other is a refused job: it has no function, no callback, no retry and no webhook left, and
    ends as failed, with the reason. It is judged when it is read, before RQ does anything with it.
    """

    def __init__(self, id: Any = None, connection: Any = None, serializer: Any = None) -> None:
        super().__init__(id, connection=connection, serializer=JSONSerializer)
        self._refusal = ""
        # What else such a worker reads, such as scheduled jobs, it would read as pickle.
        self._reads_json = serializer is None or _is_json(serializer)

    @classmethod
    def create(cls, *args: Any, **kwargs: Any) -> Any:
        job: Any = super().create(*args, **kwargs)
        if problem := job._problem():
            raise RefusedJob(f"This job would be refused: {problem}.")
        return job

    @classmethod
    def fetch(cls, id: Any, connection: Any = None, serializer: Any = None) -> Any:
        if not _is_id(id):
            # RQ passes over what does not exist; anything else would end the worker.
            raise NoSuchJobError(f"No job can have the id {shown(id)}.")
        try:
            return super().fetch(id, connection=connection, serializer=serializer)
        except ResponseError as error:
            if not is_one_keys(error):
                raise
            # Each worker to come would meet it, and end.
            raise NoSuchJobError(f"What stands in the place of job {id} is none.") from None

    def restore(self, raw_data: Any) -> None:
        try:
            _check_sizes(raw_data)
            super().restore(raw_data)
            if self.func_name == JOB:
                self._forget_what_no_relay_sets()
            self._check_lists()
            reason = "" if self._reads_json else f"this worker reads pickle: {WORKER_HINT}"
            reason = reason or self._problem()
        except NoSuchJobError:
            raise
        except Exception as error:
            reason = _reason(error)
        if reason:
            self._refuse(reason, raw_data)

    @property
    def func(self) -> Callable[..., Any] | None:
        # Again, because attributes may have been set since it was read.
        if reason := self._refusal or self._problem():
            raise RefusedJob(f"Job {self.id!r} was refused: {reason}.")
        function: Callable[..., Any] | None = super().func
        return function

    def _deserialize_data(self) -> None:
        super()._deserialize_data()  # type: ignore[no-untyped-call]
        name, instance, args, kwargs = self._func_name, self._instance, self._args, self._kwargs
        if not (isinstance(name, str) and isinstance(args, list) and isinstance(kwargs, dict)):
            raise DeserializationError("it does not have a name, a list and a dict")
        if instance is not None:
            raise DeserializationError("it calls a method of something that came from Redis")

    def _problem(self) -> str:
        """Return what this job has that it may not have, or nothing."""
        allowed = conf.get("ALLOWED_JOBS")
        if self.func_name != JOB and self.func_name not in allowed:
            return f"{shown(self.func_name)} is not in EDA_DJANGO['ALLOWED_JOBS']"
        if self.instance is not None:
            return "it calls a method, and only functions can be listed"
        for name in self._callback_names():
            if name not in allowed:
                return f"its callback {shown(name)} is not in EDA_DJANGO['ALLOWED_JOBS']"
        # RQ 2 has none.
        if getattr(self, "webhooks", None):
            return "it has webhooks, which would let Redis choose whom a worker calls"
        return ""

    def _forget_what_no_relay_sets(self) -> None:
        """Else a job that fails could be retried first of all its queue, for ever."""
        self.retries_left = self.retry_intervals = None
        self.repeats_left = self.repeat_intervals = None
        self.enqueue_at_front_on_retry = False
        self.group_id = self.rate_limit_key = self.rate_limit_concurrency = None
        self._dependency_ids = []

    def _check_lists(self) -> None:
        """RQ asks for no more than JSON, and would break off at each look with what it got."""
        if not _is_list_of_ids(self._dependency_ids):
            raise DeserializationError("it can't be read: its dependency_ids are no list of ids")
        # RQ repeats at once where the list is empty, and fails to retry.
        for intervals in (self.retry_intervals, self.repeat_intervals or None):
            if intervals is not None and not _is_list_of_intervals(intervals):
                raise DeserializationError("it can't be read: its intervals are no list of seconds")

    def _callback_names(self) -> Iterator[Any]:
        names = (
            self._success_callback_name,
            self._failure_callback_name,
            self._stopped_callback_name,
        )
        return (name for name in names if name is not None)

    def _refuse(self, reason: str, raw_data: Any) -> None:
        """Leave nothing that RQ might act on, but enough to end the job as failed."""
        id, connection, status = self.id, self.connection, self._status
        origin = self.origin or _origin(raw_data)
        needs = self._dependency_ids if _is_list_of_ids(self._dependency_ids) else []
        data = self._data if isinstance(self._data, bytes) else b""
        # Afresh: the reading may have broken off anywhere.
        Job.__init__(self, id, connection=connection, serializer=JSONSerializer)
        self._refusal = reason
        self._func_name, self._instance, self._args, self._kwargs = "(refused)", None, [], {}
        # RQ may write the job again; what it was must still be seen then.
        self._data = data
        # RQ's upkeep asks for the status and looks for the job where it came from; whoever ends
        # what it waits for asks what else it waits for.
        self._status, self.origin, self._dependency_ids = status, origin, needs
        self.description = "(refused)"
        self.failure_ttl = REFUSED_TTL


class SecureWorkerMixin:
    """Makes a class of RQ's workers read JSON in everything it does, and jobs as SecureJob.

    A worker reads jobs in its upkeep and as a scheduler, too, past the job class: what the
    serializer is, then, is all that counts. `rqworker-pool` gives its workers queues with neither.
    """

    job_class = SecureJob
    # Seconds, at most, between two tries to reach a Redis that is away; RQ's own is a minute.
    max_connection_wait_time = 4.0
    queues: list[Any]

    def __init__(self, queues: Any, *args: Any, **kwargs: Any) -> None:
        given = kwargs.get("job_class")
        is_secure = isinstance(given, type) and issubclass(given, SecureJob)
        kwargs |= {"job_class": given if is_secure else SecureJob, "serializer": JSONSerializer}
        super().__init__(queues, *args, **kwargs)  # type: ignore[call-arg]
        for queue in self.queues:
            queue.job_class, queue.serializer = kwargs["job_class"], JSONSerializer


class SecureWorker(SecureWorkerMixin, Worker):
    """RQ's Worker, which forks for each job."""


class SecureSimpleWorker(SecureWorkerMixin, SimpleWorker):
    """RQ's SimpleWorker, which runs jobs in its own process."""


def gaps() -> Iterator[tuple[str, str]]:
    """Yield what is missing where these classes are used, and what to do, each in a sentence.

    Nothing if they are not used at all.
    """
    has_job = issubclass(get_job_class(), SecureJob)
    has_worker = issubclass(get_worker_class(), SecureWorkerMixin)  # type: ignore[no-untyped-call]
    if not has_job and not has_worker:
        return
    if not has_job:
        yield (
            "RQ's WORKER_CLASS is secure and its JOB_CLASS is not, so that what this process "
            "reads or enqueues is not checked, and django-rq's pages unpickle what they show.",
            "Set RQ['JOB_CLASS'] = 'eda_django.secure.SecureJob'.",
        )
    if not has_worker:
        yield (
            "RQ's JOB_CLASS is secure and its WORKER_CLASS is not, so that workers still "
            "unpickle what they read in their upkeep.",
            "Set RQ['WORKER_CLASS'] = 'eda_django.secure.SecureWorker'.",
        )
    for name, config in django_rq_settings.QUEUES.items():
        if not _is_json(config.get("SERIALIZER")):
            yield (
                f"RQ's JOB_CLASS is secure and queue {name!r} has no JSON serializer, so that "
                f"django-rq's pages unpickle what they show.",
                f"Set RQ_QUEUES[{name!r}]['SERIALIZER'] = 'rq.serializers.JSONSerializer'.",
            )


def is_in_use() -> bool:
    """Return whether jobs are held to ALLOWED_JOBS."""
    return issubclass(get_job_class(), SecureJob)


def _is_json(serializer: Any) -> bool:
    # Looked up by RQ, which knows paths and short names.
    return resolve_serializer(serializer) is JSONSerializer


def _is_id(value: Any) -> bool:
    """Return whether RQ would make a job of this id; what follows a colon is an execution's."""
    name = value.partition(":")[0] if isinstance(value, str) else ""
    return bool(name) and name.isascii() and name.replace("_", "").replace("-", "").isalnum()


def _is_list_of_ids(value: Any) -> bool:
    return isinstance(value, list) and all(_is_id(item) for item in value)


def _is_list_of_intervals(value: Any) -> bool:
    """Return whether RQ can take its next try from it; that is a date, and these end."""
    if not isinstance(value, list) or not value:
        return False
    return all(isinstance(item, int | float) and 0 <= item <= MAX_INTERVAL for item in value)


def _check_sizes(raw_data: Any) -> None:
    for name in PACKED:
        packed = raw_data.get(name.encode(), b"")
        unpacker = zlib.decompressobj()
        try:
            unpacker.decompress(packed, MAX_BYTES)
        except zlib.error:
            # Not packed at all.
            continue
        if unpacker.unconsumed_tail:
            raise RefusedJob(f"its {name} has more than {MAX_BYTES:,} bytes")


def _reason(error: Exception) -> str:
    if isinstance(error, RefusedJob | DeserializationError) and str(error):
        return str(error)
    return f"it can't be read as JSON ({type(error.__cause__ or error).__qualname__})"


def _origin(raw_data: Any) -> str:
    return bytes(raw_data.get(b"origin", b"")).decode(errors="replace")
