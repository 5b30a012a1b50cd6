"""What is said of a site that is only half secured."""

from pathlib import Path
from typing import Any

from django.core import checks as django_checks
from rq import Queue, SimpleWorker
from rq.serializers import JSONSerializer
from rq.worker import Worker

from eda_django import checks, secure
from eda_django.secure import SecureJob
from tests.attacker import call, forge
from tests.secure.refused import reason
from tests.world import LISTED


class TestHalfConfigured:
    def test_plain_worker_that_reads_pickle_runs_nothing(
        self, redis_client: Any, tmp_path: Path
    ) -> None:
        job_id = forge(redis_client, call(LISTED, str(tmp_path / "mine")))
        queue = Queue("fast", connection=redis_client)
        SimpleWorker([queue], connection=redis_client, job_class=SecureJob).work(burst=True)
        assert f"this worker reads pickle: {secure.WORKER_HINT}" in reason(redis_client, job_id)
        assert not (tmp_path / "mine").exists()

    def test_plain_worker_that_reads_json_runs_what_is_listed(
        self, redis_client: Any, tmp_path: Path
    ) -> None:
        forge(redis_client, call(LISTED, str(tmp_path / "mine")))
        queue = Queue("fast", connection=redis_client)
        options: Any = {"job_class": SecureJob, "serializer": JSONSerializer}
        SimpleWorker([queue], connection=redis_client, **options).work(burst=True)
        assert (tmp_path / "mine").exists()

    def test_checks_say_nothing_of_a_whole_configuration(self) -> None:
        assert checks.check_secure() == []

    def test_checks_say_nothing_where_nothing_is_used(self, settings: Any) -> None:
        settings.RQ = {}
        settings.EDA_DJANGO = {}
        assert checks.check_secure() == []

    def test_check_finds_the_missing_job_class(self, settings: Any) -> None:
        settings.RQ = {"WORKER_CLASS": "eda_django.secure.SecureWorker"}
        [error, warning] = checks.check_secure()
        assert (error.id, warning.id) == ("eda_django.E006", "eda_django.W005")
        assert "Set RQ['JOB_CLASS'] = 'eda_django.secure.SecureJob'." in str(error.hint)

    def test_check_finds_the_missing_worker_class(self, settings: Any) -> None:
        settings.RQ = {"JOB_CLASS": SecureJob}
        [error] = checks.check_secure()
        assert error.id == "eda_django.E006"
        assert "Set RQ['WORKER_CLASS']" in str(error.hint)

    def test_check_finds_the_queue_with_pickle(self, settings: Any) -> None:
        plain = {key: value for key, value in settings.RQ_QUEUES["slow"].items() if key == "HOST"}
        settings.RQ_QUEUES = {**settings.RQ_QUEUES, "slow": plain}
        [error] = checks.check_secure()
        assert error.id == "eda_django.E006"
        assert "queue 'slow' has no JSON serializer" in error.msg

    def test_checks_are_registered(self, settings: Any) -> None:
        settings.RQ = {"JOB_CLASS": SecureJob, "WORKER_CLASS": Worker}
        found = django_checks.run_checks(tags=["eda_django"])
        assert [m.id for m in found if m.id == "eda_django.E006"]
