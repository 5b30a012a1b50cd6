"""`manage.py check`: the errors in how a database is set up."""

from typing import Any

import pytest
from django.db import connections
from django.test import override_settings

from tests.checks.checking import ERROR, NoOutbox, assert_one, found


@pytest.mark.parametrize("value", [False, None])
def test_e008_a_database_where_atomic_commits_nothing(monkeypatch: pytest.MonkeyPatch, value: Any):
    monkeypatch.setitem(connections["default"].settings_dict, "AUTOCOMMIT", value)
    assert_one(
        "E008",
        ERROR,
        f"DATABASES['default']['AUTOCOMMIT'] is {value!r}: atomic() commits nothing then, and a "
        "relay would push jobs for rows that nobody commits.",
        "Remove the key, or set it to True.",
        obj=None,
    )


def test_e008_looks_at_every_database_with_an_outbox(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(connections["other"].settings_dict, "AUTOCOMMIT", False)
    assert [(m.id, m.msg[:31]) for m in found()] == [
        ("eda_django.E008", "DATABASES['other']['AUTOCOMMIT'")
    ]
    with override_settings(DATABASE_ROUTERS=[NoOutbox()]):
        assert found() == []
