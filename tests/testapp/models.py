"""Business data of the tests: orders, and what subscribers did about them."""

from django.db import models


class Order(models.Model):
    """Something that is written together with an event."""

    number = models.CharField(max_length=50)

    def __str__(self) -> str:
        return self.number


class Effect(models.Model):
    """What one call of a subscriber wrote; without unique constraints, so that doubles show."""

    subscriber = models.CharField(max_length=100)
    event_id = models.UUIDField()
    attempt = models.PositiveIntegerField()
    note = models.CharField(max_length=255, blank=True, default="")

    def __str__(self) -> str:
        return f"{self.subscriber} {self.event_id}"
