"""What a child needs before it can do anything: imported once, by the process that forks them."""

import os

import django

# Short, so that a relay soon asks what became of a claim.
os.environ["EDA_TEST_LEASE"] = "0.5"
django.setup()

# Everything that a command imports when it starts, so that no child has to.
from django.db import connection  # noqa: E402
from django_rq.management.commands import rqworker  # noqa: E402, F401

from eda_django.management.commands import relay  # noqa: E402, F401
from tests.faults import site  # noqa: E402, F401

assert connection.connection is None
