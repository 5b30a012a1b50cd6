"""@publishes on methods, and through Django's method_decorator."""

import pytest
from django.utils.decorators import method_decorator

from eda_django import publishes
from eda_django.registry import registry
from tests.decorators.functions import noted, rows
from tests.testapp.events import Noted


@pytest.mark.django_db
def test_methods_and_any_arguments_work():
    class Desk:
        @publishes(Noted)
        def note(self, *texts: str, **more: str) -> Noted:
            return Noted(",".join([type(self).__name__, *texts, *more.values()]))

        @classmethod
        @publishes(Noted)
        def of_class(cls, text: str) -> Noted:
            return Noted(cls.__name__ + text)

        @staticmethod
        @publishes(Noted)
        def static(text: str) -> Noted:
            return Noted(text)

    Desk().note("a", "b", c="c")
    Desk.of_class("1")
    Desk().static("2")
    assert rows() == noted("Desk,a,b,c", "Desk1", "2")


@pytest.mark.django_db
def test_method_decorator_publishes_and_no_dummy_of_django_is_a_publisher():
    """The catalogue would show the function that Django tries its decorators on."""

    @method_decorator(publishes("test.posted"), name="post")
    class Desk:
        def post(self, text: str) -> dict[str, str]:
            return {"text": text}

    assert Desk().post("a") == {"text": "a"}
    assert rows() == [("test.posted", {"text": "a"})]
    assert registry.published["test.posted"] == {f"{__name__}.{Desk.post.__qualname__}"}
