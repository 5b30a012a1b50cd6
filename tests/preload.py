"""What a fork needs before it can do anything: imported once, by the process that forks them."""

import django

django.setup()

# Everything that a command imports when it starts or works, so that no fork has to.
import encodings.idna  # noqa: E402, F401

from django.db import connection  # noqa: E402
from django_rq.management.commands import rqworker  # noqa: E402, F401

from eda_django import job  # noqa: E402, F401
from eda_django.management.commands import relay  # noqa: E402, F401

assert connection.connection is None
