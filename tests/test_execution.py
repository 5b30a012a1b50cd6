"""What an execution hands over to be judged; its calls are tested through the consumer."""

from typing import Any

import pytest
from django.db import transaction

from eda_django import Event, publish
from eda_django.models import Attempt, Delivery
from eda_django.relay import Relay
from tests.relaying import HAPPENED, Recorder, on_happened


@pytest.mark.django_db
def test_redacted_headers_stay_out_of_recorded_errors(settings: Any) -> None:
    """G9: REDACT names fields of headers as well as of payloads."""
    settings.EDA_DJANGO = {**settings.EDA_DJANGO, "REDACT": ["session"]}

    def fail(seen: Event[Any]) -> None:
        raise ValueError(f"session {seen.headers['session']} is over")

    on_happened(fail)
    with transaction.atomic():
        publish(HAPPENED, {}, headers={"session": "c0ffee-77"})
    transport = Recorder()
    Relay(transport=transport).poll()
    transport.work()
    assert Delivery.objects.get().error_text == "session *** is over"
    assert "c0ffee-77" not in Attempt.objects.get().traceback
