"""The rows that every contestant writes."""

import time
from typing import Any, ClassVar

from django.db import models


class Sale(models.Model):
    """What a request writes with or without an event."""

    number = models.CharField(max_length=50)
    customer = models.CharField(max_length=100)
    total = models.DecimalField(max_digits=10, decimal_places=2)
    placed_at = models.DateTimeField()

    # Spelled out, because mypy's settings don't have this app.
    objects: ClassVar[Any] = models.Manager()

    class Meta:
        db_table = "bench_sale"

    def __str__(self) -> str:
        return self.number


class Effect(models.Model):
    """What a subscriber, or a plain job, writes: which sale, and when it started."""

    number = models.BigIntegerField()
    at = models.FloatField(default=time.time)

    objects: ClassVar[Any] = models.Manager()

    class Meta:
        db_table = "bench_effect"

    def __str__(self) -> str:
        return str(self.number)
