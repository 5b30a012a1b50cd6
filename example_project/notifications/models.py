"""The mails that went out."""

from django.db import models
from django.utils import timezone


class SentMail(models.Model):
    """A mail to a customer.

    No unique constraint on the order: a doubled effect would show, and it is the library that
    prevents it.
    """

    order_id = models.UUIDField(db_index=True)
    to = models.EmailField()
    subject = models.CharField(max_length=200)
    body = models.TextField()
    at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.subject
