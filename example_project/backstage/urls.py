"""The addresses behind the scenes."""

from django.urls import path

from . import views

app_name = "backstage"
urlpatterns = [
    path("services/", views.services, name="services"),
    path("services/status.json", views.services_status, name="status"),
    path("services/<slug:name>/stop/", views.switch, {"on": False}, name="stop"),
    path("services/<slug:name>/start/", views.switch, {"on": True}, name="start"),
    path("orders/<uuid:pk>/again/", views.send_again, name="again"),
    path("orders/<uuid:pk>/again/<slug:number>/", views.show_copies, name="copies"),
    path(
        "orders/<uuid:pk>/again/<slug:number>/status.json",
        views.copies_status,
        name="copies_status",
    ),
]
