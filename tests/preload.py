"""What a fork needs before it can do anything: imported once, by the process that forks them."""

import django

django.setup()

# Everything that a command imports when it starts or works, so that no fork has to.
import encodings.idna  # noqa: E402, F401

import pydantic_core.core_schema  # noqa: E402, F401
from django.core.management import get_commands  # noqa: E402
from django.db import connection  # noqa: E402
from django_rq.management.commands import rqworker  # noqa: E402, F401
from redis import Redis  # noqa: E402

from eda_django import job  # noqa: E402, F401
from eda_django.management.commands import relay  # noqa: E402, F401

# And what is kept of the first time: which commands there are, and what each client looks up of its
# own version. It connects to nothing yet.
get_commands()
Redis()

assert connection.connection is None
