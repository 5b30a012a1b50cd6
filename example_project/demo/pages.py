"""A browser in miniature: pages with their forms, over HTTP, with cookies."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlencode, urljoin, urlsplit
from urllib.request import HTTPCookieProcessor, ProxyHandler, build_opener

TIMEOUT = 60.0


@dataclass(slots=True)
class Form:
    """A form as it would be sent untouched."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """What a request, after its redirects, came to."""

    url: str
    text: str

    def forms(self) -> list[Form]:
        parser = _FormParser()
        parser.feed(self.text)
        return parser.forms

    def form(self, path: str, **fields: str) -> Form | None:
        """Return the first form that goes to `path` and has these fields."""
        for form in self.forms():
            target = urlsplit(urljoin(self.url, form.action)).path
            if target == path and fields.items() <= form.fields.items():
                return form
        return None


class Browser:
    """One visitor's: its cookies are its own."""

    def __init__(self, address: str) -> None:
        self.address = address
        # The shop is on this machine, whatever proxy is set for the rest of the world.
        self._opener = build_opener(ProxyHandler({}), HTTPCookieProcessor())

    def get(self, path: str) -> Page:
        return self._open(path, None)

    def send(self, form: Form, **fields: str) -> Page:
        """Fill in a form and send it."""
        return self._open(form.action, {**form.fields, **fields})

    def _open(self, path: str, fields: Mapping[str, str] | None) -> Page:
        body = None if fields is None else urlencode(fields).encode()
        url = urljoin(self.address, path)
        with self._opener.open(url, body, timeout=TIMEOUT) as answer:
            return Page(answer.geturl(), answer.read().decode())


class _FormParser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._is_inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(values.get("action", "")))
            self._is_inside = True
        elif tag == "input" and self._is_inside and "name" in values:
            self.forms[-1].fields[values["name"]] = values.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._is_inside = False
