"""The addresses of the customers' pages."""

from django.urls import path

from . import views

app_name = "orders"
urlpatterns = [
    path("", views.products, name="products"),
    path("cart/", views.cart, name="cart"),
    path("cart/add/", views.add_to_cart, name="add"),
    path("cart/remove/", views.remove_from_cart, name="remove"),
    path("checkout/", views.checkout, name="checkout"),
    path("orders/<uuid:pk>/", views.order, name="order"),
    path("orders/<uuid:pk>/status.json", views.order_status, name="status"),
]
