"""Which relays run the subscribers themselves: a site with no others needs no Redis."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("eda_django", "0004_console_indexes")]

    operations = [
        migrations.AddField(
            model_name="relayheartbeat",
            name="inline",
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
