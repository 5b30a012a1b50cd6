"""Have PostgreSQL vacuum the two queue tables early.

By default it waits until a fifth of a table has changed. Of a table that keeps finished rows for
a month, that is millions of dead row versions at the head of the indexes that every claim reads.
"""

from typing import Any

from django.db import migrations

TABLES = ("eda_django_outboxevent", "eda_django_delivery")
OPTIONS = {
    "autovacuum_vacuum_scale_factor": "0.01",
    "autovacuum_vacuum_threshold": "1000",
    "autovacuum_vacuum_insert_scale_factor": "0.05",
    "autovacuum_analyze_scale_factor": "0.02",
    "autovacuum_analyze_threshold": "1000",
}


def vacuum_early(apps: Any, schema_editor: Any) -> None:
    settings = ", ".join(f"{name} = {value}" for name, value in OPTIONS.items())
    _alter(schema_editor, f"SET ({settings})")


def vacuum_as_usual(apps: Any, schema_editor: Any) -> None:
    _alter(schema_editor, f"RESET ({', '.join(OPTIONS)})")


def _alter(schema_editor: Any, change: str) -> None:
    if schema_editor.connection.vendor == "postgresql":
        for table in TABLES:
            schema_editor.execute(f"ALTER TABLE {table} {change}")


class Migration(migrations.Migration):
    dependencies = [("eda_django", "0001_initial")]

    operations = [
        # The hint is for routers that keep these tables out of some databases.
        migrations.RunPython(vacuum_early, vacuum_as_usual, hints={"model_name": "delivery"}),
    ]
