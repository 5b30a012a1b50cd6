"""The shop's pages."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("example_project.orders.urls")),
    path("", include("example_project.backstage.urls")),
    path("admin/", admin.site.urls),
]
