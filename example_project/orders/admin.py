"""Products and orders in the admin."""

from django.contrib import admin

from example_project.backoffice import ModelAdmin, ReadOnlyAdmin, ReadOnlyInline

from .models import Order, OrderLine, OrderStep, Product


@admin.register(Product)
class ProductAdmin(ModelAdmin):
    list_display = ("title", "sku", "section", "price", "stock")
    list_filter = ("section",)
    search_fields = ("title", "sku")
    # Inventory tells these, through events.
    readonly_fields = ("stock", "stock_revision")


class OrderLineInline(ReadOnlyInline):
    model = OrderLine


@admin.register(Order)
class OrderAdmin(ReadOnlyAdmin):
    list_display = ("number", "name", "email", "total", "placed_at")
    search_fields = ("id__exact", "email")
    exclude = ("card_token",)
    inlines = (OrderLineInline,)


@admin.register(OrderStep)
class OrderStepAdmin(ReadOnlyAdmin):
    list_display = ("order_id", "name", "detail", "at")
    list_filter = ("name",)
    search_fields = ("order_id__exact",)
