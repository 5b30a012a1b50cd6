"""The console: bulk operations and notes, its permissions, and its pages in the sidebar."""

from django.db import migrations, models

import eda_django.models.indexes


class Migration(migrations.Migration):
    dependencies = [
        ("eda_django", "0002_autovacuum"),
    ]

    operations = [
        migrations.CreateModel(
            name="BulkOperation",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "verb",
                    models.CharField(
                        choices=[
                            ("retry", "Retry"),
                            ("retry_now", "Retry now"),
                            ("discard", "Discard"),
                        ],
                        max_length=20,
                        verbose_name="action",
                    ),
                ),
                ("selection", models.JSONField(verbose_name="filter")),
                ("operator", models.CharField(max_length=255, verbose_name="operator")),
                ("reason", models.TextField(blank=True, default="", verbose_name="reason")),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("running", "Running"),
                            ("done", "Done"),
                            ("cancelled", "Cancelled"),
                        ],
                        default="running",
                        max_length=10,
                        verbose_name="status",
                    ),
                ),
                ("first_id", models.BigIntegerField()),
                ("next_id", models.BigIntegerField()),
                ("last_id", models.BigIntegerField()),
                ("changed", models.PositiveBigIntegerField(default=0, verbose_name="changed")),
                (
                    "passed_over",
                    models.PositiveBigIntegerField(default=0, verbose_name="passed over"),
                ),
                ("created_at", models.DateTimeField(verbose_name="started at")),
                (
                    "finished_at",
                    models.DateTimeField(blank=True, null=True, verbose_name="finished at"),
                ),
            ],
            options={
                "verbose_name": "bulk operation",
                "verbose_name_plural": "bulk operations",
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="FailureNote",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("subscriber", models.CharField(max_length=255, verbose_name="subscriber")),
                ("fingerprint", models.CharField(max_length=32, verbose_name="fingerprint")),
                ("text", models.TextField(verbose_name="note")),
                ("author", models.CharField(max_length=255, verbose_name="author")),
                ("written_at", models.DateTimeField(auto_now=True, verbose_name="written at")),
            ],
            options={
                "verbose_name": "note on failures",
                "verbose_name_plural": "notes on failures",
                "default_permissions": ("change",),
            },
        ),
        migrations.CreateModel(
            name="CatalogueEntry",
            fields=[],
            options={
                "verbose_name": "event type",
                "verbose_name_plural": "catalogue",
                "proxy": True,
                "default_permissions": (),
                "indexes": [],
                "constraints": [],
            },
            bases=("eda_django.outboxevent",),
        ),
        migrations.CreateModel(
            name="Failure",
            fields=[],
            options={
                "verbose_name": "failure",
                "verbose_name_plural": "failures",
                "proxy": True,
                "default_permissions": (),
                "indexes": [],
                "constraints": [],
            },
            bases=("eda_django.delivery",),
        ),
        migrations.CreateModel(
            name="Overview",
            fields=[],
            options={
                "verbose_name": "overview",
                "verbose_name_plural": "overview",
                "proxy": True,
                "default_permissions": (),
                "indexes": [],
                "constraints": [],
            },
            bases=("eda_django.relayheartbeat",),
        ),
        migrations.AlterModelOptions(
            name="delivery",
            options={
                "permissions": [
                    ("retry_delivery", "Can give dead deliveries new attempts"),
                    ("retry_delivery_now", "Can end the wait of deliveries"),
                    ("discard_delivery", "Can discard deliveries"),
                ],
                "verbose_name": "delivery",
                "verbose_name_plural": "deliveries",
            },
        ),
        migrations.AlterModelOptions(
            name="outboxevent",
            options={
                "permissions": [
                    ("resend_outboxevent", "Can send events again to chosen subscriptions"),
                    ("edit_outboxevent", "Can publish edited copies of events"),
                ],
                "verbose_name": "event",
                "verbose_name_plural": "events",
            },
        ),
        migrations.AddIndex(
            model_name="bulkoperation",
            index=eda_django.models.indexes.HotIndex(
                fields=["id"],
                name="eda_operation_running",
                plain_fields=("status",),
                where=models.Q(("status", "running")),
            ),
        ),
        migrations.AddConstraint(
            model_name="failurenote",
            constraint=models.UniqueConstraint(
                fields=("subscriber", "fingerprint"), name="eda_note_group"
            ),
        ),
    ]
