"""Three indexes that the console searches by, made without locking the tables.

Each is there because no bounded search could answer its question, and is as small as it can be:

- eda_event_key: operators are asked about an order, and its number is the key. An event without
  a key has no entry.
- eda_delivery_failing: the groups of failures. A delivery that never fails never enters it, so
  that it may hold all the columns that are asked for: 20,000 dead letters lie on as many pages
  of the table. Where there are no partial indexes there is none: the indexes over the status do.
- eda_delivery_finished: when each subscription last succeeded, and how fast it is. One entry,
  written when a delivery ends; behind a backlog nothing else tells which rows are the latest.
"""

from typing import Any

from django.db import migrations, models

import eda_django.models.indexes


class AddIndex(migrations.AddIndex):
    """Add an index while others write, where the database can.

    None where it would be partial and can't be: MySQL takes the condition for a comment.
    """

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        if schema_editor.connection.vendor != "postgresql":
            if self.is_wanted(schema_editor):
                super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            schema_editor.add_index(model, self.index, concurrently=True)

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        if self.is_wanted(schema_editor):
            super().database_backwards(app_label, schema_editor, from_state, to_state)

    def is_wanted(self, schema_editor: Any) -> bool:
        can_be_partial = schema_editor.connection.features.supports_partial_indexes
        return bool(can_be_partial or not self.index.condition)


class Migration(migrations.Migration):
    # PostgreSQL makes no index concurrently inside a transaction.
    atomic = False

    dependencies = [("eda_django", "0003_console")]

    operations = [
        AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(
                    ("status", "dead"),
                    models.Q(("attempts__gt", 0), ("status", "pending")),
                    _connector="OR",
                ),
                fields=[
                    "status",
                    "subscriber",
                    "fingerprint",
                    "started_at",
                    "attempts",
                    "event",
                    "id",
                ],
                name="eda_delivery_failing",
            ),
        ),
        AddIndex(
            model_name="delivery",
            index=eda_django.models.indexes.HotIndex(
                fields=["subscriber", "finished_at"],
                name="eda_delivery_finished",
                plain_fields=("subscriber", "finished_at"),
                where=models.Q(("finished_at__isnull", False)),
            ),
        ),
        AddIndex(
            model_name="outboxevent",
            index=eda_django.models.indexes.HotIndex(
                fields=["key"],
                name="eda_event_key",
                plain_fields=("key",),
                where=models.Q(("key", ""), _negated=True),
            ),
        ),
    ]
