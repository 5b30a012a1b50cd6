"""The pages that customers see."""

from itertools import groupby
from uuid import UUID, uuid4

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from example_project import gateway
from example_project.events import Customer

from . import progress, services
from .cart import Cart
from .forms import AddForm, CheckoutForm
from .models import Order, Product


@require_GET
def products(request: HttpRequest) -> HttpResponse:
    """Show everything that is for sale, by section."""
    groups = groupby(Product.objects.all(), key=lambda product: product.section)
    sections = [(title, list(items)) for title, items in groups]
    return render(request, "orders/products.html", {"sections": sections})


@require_POST
def add_to_cart(request: HttpRequest) -> HttpResponse:
    form = AddForm(request.POST)
    shelves = reverse("orders:products")
    if not form.is_valid():
        messages.error(request, "That could not be put into the cart.")
        return redirect(shelves)
    product = form.cleaned_data["sku"]
    Cart(request).add(product.sku, form.cleaned_data["quantity"])
    messages.success(request, f"{product.title} is in your cart.")
    return redirect(f"{shelves}#{product.sku}")


@require_POST
def remove_from_cart(request: HttpRequest) -> HttpResponse:
    Cart(request).remove(request.POST.get("sku", ""))
    return redirect("orders:cart")


@require_GET
def cart(request: HttpRequest) -> HttpResponse:
    # A new id with each showing of the form, and the same one each time that it is sent.
    return _show_cart(request, CheckoutForm(initial={"checkout_id": uuid4()}))


@require_POST
def checkout(request: HttpRequest) -> HttpResponse:
    """Place the order and confirm it at once, whatever the other services do meanwhile."""
    form = CheckoutForm(request.POST)
    if not form.is_valid():
        return _show_cart(request, form, status=400)
    sent, chosen = form.cleaned_data, Cart(request)
    is_again = Order.objects.filter(pk=sent["checkout_id"]).exists()
    if not is_again and not chosen.lines():
        messages.error(request, "There is nothing in your cart.")
        return redirect("orders:cart")
    order = services.place_order(
        sent["checkout_id"],
        customer=Customer(sent["name"], sent["email"]),
        card_token=sent["card"],
        cart=chosen.quantities,
    )
    chosen.empty()
    if is_again:
        messages.info(
            request, "This checkout was sent before: here is its order, there is only one."
        )
    return redirect("orders:order", order.pk)


@require_GET
@never_cache
def order(request: HttpRequest, pk: UUID) -> HttpResponse:
    found = get_object_or_404(Order.objects.prefetch_related("lines"), pk=pk)
    context = {"order": found, "progress": progress.of(found)}
    return render(request, "orders/order.html", context)


@require_GET
@never_cache
def order_status(request: HttpRequest, pk: UUID) -> JsonResponse:
    return JsonResponse(progress.of(get_object_or_404(Order, pk=pk)).as_json())


def _show_cart(request: HttpRequest, form: CheckoutForm, status: int = 200) -> HttpResponse:
    lines = Cart(request).lines()
    context = {
        "lines": lines,
        "total": sum(line.sum for line in lines),
        "form": form,
        "test_cards": gateway.TEST_CARDS,
    }
    return render(request, "orders/cart.html", context, status=status)
