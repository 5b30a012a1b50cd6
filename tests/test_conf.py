"""The EDA_DJANGO setting."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from eda_django import conf

PATHS = "a list of dotted names of functions, such as 'shop.jobs.report'"
SECONDS = "a number of seconds above 0 and below 1,000,000,000"
WRONG = [
    ("SOURCE", "", "a text of 1 to 255 characters"),
    ("SOURCE", "a" * 256, "a text of 1 to 255 characters"),
    ("SOURCE", "a\x00", "a text of 1 to 255 characters"),
    ("SOURCE", None, "a text of 1 to 255 characters"),
    ("QUEUE", 5, "the name of a queue in RQ_QUEUES"),
    ("BATCH_SIZE", 0, "a whole number from 1 to 10,000"),
    ("BATCH_SIZE", True, "a whole number from 1 to 10,000"),
    ("BATCH_SIZE", 10_001, "a whole number from 1 to 10,000"),
    ("CHUNK_SIZE", 2.0, "a whole number from 1 to 10,000"),
    ("CHUNK_SIZE", 10_001, "a whole number from 1 to 10,000"),
    ("MAX_EVENT_BYTES", "1MB", "a whole number above 0"),
    ("POLL_INTERVAL", 0, SECONDS),
    ("POLL_INTERVAL", float("nan"), SECONDS),
    ("LEASE", timedelta(seconds=30), SECONDS),
    ("LEASE", False, SECONDS),
    ("LEASE", float("inf"), SECONDS),
    ("LEASE", 10**9, SECONDS),
    ("RETENTION", 30, "a timedelta above 0 and of at most 36,500 days"),
    ("RETENTION", timedelta(0), "a timedelta above 0 and of at most 36,500 days"),
    ("RETENTION", timedelta.max, "a timedelta above 0 and of at most 36,500 days"),
    ("REQUIRE_ATOMIC", 1, "True or False"),
    ("REDACT", "password", "a list of field names"),
    ("REDACT", [5], "a list of field names"),
    ("ALLOWED_JOBS", "shop.jobs.report", PATHS),
    ("ALLOWED_JOBS", ["report"], PATHS),
    ("ALLOWED_JOBS", ["shop.jobs.*"], PATHS),
    ("ALLOWED_JOBS", ["shop..report"], PATHS),
    ("ALLOWED_JOBS", [print], PATHS),
]


def configured(value: Any) -> Any:
    return override_settings(EDA_DJANGO=value)


@pytest.mark.parametrize(("key", "value", "must_be"), WRONG)
def test_a_wrong_value_is_named_shown_and_corrected(key: str, value: Any, must_be: str):
    problem = f"EDA_DJANGO[{key!r}] must be {must_be}, not {value!r}."
    with configured({key: value}):
        assert conf.problems() == [problem]
        with pytest.raises(ImproperlyConfigured) as caught:
            conf.get(key)
    assert str(caught.value) == problem


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("BATCH_SZIE", "Unknown EDA_DJANGO key 'BATCH_SZIE', did you mean 'BATCH_SIZE'?"),
        ("retention", "Unknown EDA_DJANGO key 'retention', did you mean 'RETENTION'?"),
        (
            5,
            "Unknown EDA_DJANGO key 5; the keys are SOURCE, QUEUE, BATCH_SIZE, CHUNK_SIZE, "
            "POLL_INTERVAL, LEASE, RETENTION, REQUIRE_ATOMIC, MAX_EVENT_BYTES, REDACT, "
            "EDIT_AND_RESEND, ALLOWED_JOBS.",
        ),
    ],
)
def test_an_unknown_key_gets_a_guess_or_the_list(key: Any, problem: str):
    with configured({key: 1, "LEASE": 10}):
        assert conf.problems() == [problem]
        assert conf.get("LEASE") == 10


@pytest.mark.parametrize("value", [None, [], "shop"])
def test_a_setting_that_is_no_dict_is_refused(value: Any):
    problem = f"EDA_DJANGO must be a dict of options, not {value!r}."
    with configured(value):
        assert conf.problems() == [problem]
        with pytest.raises(ImproperlyConfigured) as caught:
            conf.get("LEASE")
    assert str(caught.value) == problem


def test_every_key_is_optional_and_every_default_is_right(settings: Any):
    del settings.EDA_DJANGO
    assert conf.problems() == []
    assert {key: conf.get(key) for key in conf.OPTIONS} == {
        "SOURCE": "django",
        "QUEUE": "default",
        "BATCH_SIZE": 500,
        "CHUNK_SIZE": 50,
        "POLL_INTERVAL": 5.0,
        "LEASE": 30.0,
        "RETENTION": timedelta(days=30),
        "REQUIRE_ATOMIC": True,
        "MAX_EVENT_BYTES": 1_048_576,
        "REDACT": (),
        "EDIT_AND_RESEND": False,
        "ALLOWED_JOBS": (),
    }


def test_settings_are_read_at_every_call():
    """A value frozen at import would make override_settings do nothing."""
    with configured({"LEASE": 7}):
        assert conf.get("LEASE") == 7
    assert conf.get("LEASE") == 30.0


@pytest.mark.parametrize("key", conf.OPTIONS)
def test_every_option_explains_itself(key: str):
    option = conf.OPTIONS[key]
    assert option.accepts(option.default)
    assert option.help.endswith(".")
