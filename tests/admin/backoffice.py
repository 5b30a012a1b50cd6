"""Addresses of a project that has the console on a site of its own, beside another without it."""

from django.apps import apps
from django.contrib import admin
from django.urls import path

import eda_django.admin  # noqa: F401

backoffice = admin.AdminSite(name="backoffice")
for model in apps.get_app_config("eda_django").get_models():
    if admin.site.is_registered(model):
        backoffice.register(model, type(admin.site.get_model_admin(model)))

urlpatterns = [path("admin/", admin.AdminSite().urls), path("backoffice/", backoffice.urls)]
