"""manage.py load_shop: products, their stock, and somebody who may see the admin."""

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from example_project import catalogue
from example_project.inventory.services import stock_up
from example_project.orders.services import list_products


class Command(BaseCommand):
    help = (
        "Loads the shop's products and stock, and the admin user admin / admin. Runs twice safely."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--stock-factor",
            type=float,
            default=1.0,
            help="Multiplies the stock of products that are new (default: %(default)s).",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        factor = options["stock_factor"]
        if not 0 <= factor < 10_000:
            raise CommandError(f"--stock-factor {factor} must be from 0 to 10000.")
        products = catalogue.read()
        with transaction.atomic():
            count = list_products(listing for listing, _ in products)
            new = stock_up({listing.sku: int(n * factor) for listing, n in products})
            self._make_admin()
        if options["verbosity"]:
            self.stdout.write(f"The shop has {count} products, {new} of them new.")

    def _make_admin(self) -> None:
        users = get_user_model()._default_manager
        if not users.filter(username="admin").exists():
            users.create_superuser("admin", "admin@larkspur.example", "admin")
