"""Verdicts in plain letters, for databases that have not all of them."""

import pytest

from eda_django import Retry
from eda_django.models import Delivery
from eda_django.verdicts import judge


@pytest.mark.once
def test_a_name_that_grows_in_ascii_still_fits_its_column() -> None:
    kind = type("Ü" * 200, (Exception,), {})
    row = Delivery(pk=1, subscriber="t.sub", attempts=1)
    verdict = judge(row, kind("ü"), retry=Retry(), seconds=1.0, secrets=()).in_ascii()
    assert verdict.failed_attempt
    for name, text in (
        (verdict.outcome["error_class"], verdict.outcome["error_text"]),
        (verdict.failed_attempt.error_class, verdict.failed_attempt.error_text),
    ):
        assert len(name) == 255
        assert text == "\\xfc"
