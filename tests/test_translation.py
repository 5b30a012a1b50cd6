"""Every text of the console goes through gettext: a complete German translation shows it."""

import ast
import gettext
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import override_settings
from django.utils.translation import override
from django.utils.translation.template import templatize

from eda_django.admin.display import span
from eda_django.admin.history import translated
from eda_django.models import BulkOperation
from tests.console import ACTIONS, VIEW, dead, operator, retrying, url

PACKAGE = Path(__file__).parent.parent / "eda_django"
CATALOGUE = PACKAGE / "locale/de/LC_MESSAGES"
ONE, MANY = {"_", "gettext", "gettext_lazy", "gettext_noop"}, {"ngettext"}


def calls(code: str) -> Iterator[str]:
    """Yield the texts that Python code hands to gettext."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            wanted = 1 if node.func.id in ONE else 2 if node.func.id in MANY else 0
            for argument in node.args[:wanted]:
                if isinstance(argument, ast.Name) and argument.id == "head":
                    # A text that gettext_noop() has marked elsewhere.
                    continue
                assert isinstance(argument, ast.Constant), ast.unparse(node)
                yield str(argument.value)


def in_templates(text: str) -> Iterator[str]:
    # templatize() makes calls of the template's tags, among X for everything else.
    found = re.findall(r"\b(?:gettext|ngettext)\((.*?)\)(?=\s|X|$|;)", templatize(text), re.DOTALL)
    for arguments in found:
        for literal in re.findall(r"u?'(?:[^'\\]|\\.)*'|u?\"(?:[^\"\\]|\\.)*\"", arguments):
            yield str(ast.literal_eval(literal))


def in_code() -> set[str]:
    texts: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        texts.update(calls(path.read_text(encoding="utf-8")))
    for path in PACKAGE.rglob("*.html"):
        texts.update(in_templates(path.read_text(encoding="utf-8")))
    return {" ".join(text.split()) for text in texts}


def entries() -> dict[tuple[str, str], list[str]]:
    """Read the catalogue's source: text and plural, with their translations."""
    found: dict[tuple[str, str], list[str]] = {}
    for block in (CATALOGUE / "django.po").read_text(encoding="utf-8").split("\n\n"):
        words: dict[str, str] = {}
        for name, rest in re.findall(r'^(msg\w+(?:\[\d\])?) ((?:".*"\n?)+)', block, re.MULTILINE):
            words[name] = "".join(ast.literal_eval(line) for line in rest.splitlines())
        translations = [text for name, text in words.items() if name.startswith("msgstr")]
        found[words["msgid"], words.get("msgid_plural", "")] = translations
    found.pop(("", ""))
    return found


def test_every_text_is_translated_and_nothing_else_is() -> None:
    known = {text for pair in entries() for text in pair if text}
    assert len(known) > 200
    assert in_code() == known
    assert all(all(texts) for texts in entries().values())


def test_translations_have_the_same_gaps_as_their_texts() -> None:
    gap = re.compile(r"%(?:\(\w+\))?[sd]")
    for (text, plural), translations in entries().items():
        for translation in translations:
            assert sorted(gap.findall(translation)) == sorted(gap.findall(plural or text)), text


def test_the_compiled_catalogue_is_that_of_the_source() -> None:
    with (CATALOGUE / "django.mo").open("rb") as file:
        compiled: Any = gettext.GNUTranslations(file)
    written: dict[Any, str] = {}
    for (text, plural), translations in entries().items():
        if plural:
            written |= {(text, n): one for n, one in enumerate(translations)}
        else:
            written[text] = translations[0]
    assert {key: one for key, one in compiled._catalog.items() if key != ""} == written


def test_a_length_reads_the_same_alone_and_after_a_preposition() -> None:
    """A word would have a case: three days are another word than for three days."""
    with override("de"):
        lengths = [span(timedelta(**length)) for length in ({"hours": 3}, {"days": 3})]
    assert lengths == ["3 h", "3 d"]


@pytest.mark.django_db
@override_settings(LANGUAGE_CODE="de")
def test_the_pages_are_german_where_german_is_asked_for() -> None:
    row = dead()
    retrying()
    client = operator(*VIEW, *ACTIONS, "resend_outboxevent", "change_failurenote")
    group = f"{url('failure_group')}?subscriber={row.subscriber}&fingerprint={row.fingerprint}"
    pages = {
        url("overview_changelist"): ["Kein Relay läuft", "Warteschlangen", "Letzter Erfolg"],
        url("failure_changelist"): ["1 tot", "1 in Wiederholung"],
        group: ["Erst eine wiederholen", "Notiz speichern"],
        url("delivery_changelist"): ["Alles, worauf der Filter passt", "Abonnent", "Jetzt"],
        url("delivery_change", row.pk): ["Fehlgeschlagene Versuche"],
        url("outboxevent_changelist"): ["noch nicht weitergegeben", "Zeitraum"],
        url("outboxevent_change", row.event_id): ["Zeitleiste", "Ursache"],
        url("outboxevent_resend", row.event_id): ["Jeder gewählte Abonnent"],
        url("catalogueentry_changelist"): ["Wer veröffentlicht was für wen"],
    }
    for page, words in pages.items():
        content = client.get(page).content.decode()
        assert [word for word in words if word not in content] == [], page
    asked = {"verb": "retry", "ids": [row.pk]}
    answer = client.post(url("delivery_act"), asked, follow=True)
    assert "1 Zustellung wird wiederholt." in answer.content.decode()


HISTORY = [
    ("Retried.", "Wiederholt."),
    ("Retried: by Retried", "Wiederholt: by Retried"),
    ("Retried now: now", "Sofort wiederholt: now"),
    ("Began to retry. (status=dead)", "Wiederholen begonnen. (status=dead)"),
    ("Began to retry now. (*)", "Sofort wiederholen begonnen. (*)"),
    ("Began to discard: obsolete (*)", "Verwerfen begonnen: obsolete (*)"),
    ("Discarded: obsolete", "Verworfen: obsolete"),
    ("Resent to a.b, c.d: lost", "Erneut gesendet an a.b, c.d: lost"),
    ("Noted: ask Ada", "Notiert: ask Ada"),
    ("Note removed: ask Ada", "Notiz entfernt: ask Ada"),
    (
        "Cancelled: done to 2, passed over 1, left 30.",
        "Abgebrochen: getan mit 2, übergangen 1, übrig 30.",
    ),
    (
        "Ended: done to 2, passed over 1, left 30.",
        "Beendet: getan mit 2, übergangen 1, übrig 30.",
    ),
    ("Ended: by Ada", "Ended: by Ada"),
    ("Notedly", "Notedly"),
    ("[{", "[{"),
    ("", ""),
]


@pytest.mark.parametrize(("stored", "shown"), HISTORY)
def test_the_log_is_stored_in_english_and_read_in_german(stored: str, shown: str) -> None:
    with override("de"):
        assert translated(stored) == shown
    with override("en"):
        assert translated(stored) == stored


@pytest.mark.django_db
def test_what_a_german_operator_did_is_there_for_everyone_to_read() -> None:
    """As Django does: what is stored has no language of its own, what is shown has the reader's."""
    row = dead()
    client = operator(*VIEW, *ACTIONS, "resend_outboxevent")
    asked = {"verb": "discard", "ids": [row.pk], "confirmed": "yes", "reason": "veraltet"}
    data = {"verb": "retry", "query": "status=dead", "confirmed": "yes"}
    with override_settings(LANGUAGE_CODE="de"):
        client.post(url("delivery_act"), asked)
        client.post(url("delivery_act_on_all"), data)
        page = client.get(url("delivery_history", row.pk)).content.decode()
        assert "Verworfen: veraltet" in page
    found = LogEntry.objects.order_by("pk").values_list("object_repr", "change_message")
    number = BulkOperation.objects.get().pk
    assert list(found) == [
        (str(row), "Discarded: veraltet"),
        (f"Retry {number}", "Began to retry. (status=dead)"),
    ]
    assert "Discarded: veraltet" in client.get(url("delivery_history", row.pk)).content.decode()


def test_no_english_text_of_a_template_stands_outside_gettext() -> None:
    """What is left of a template without tags and translated parts has no words."""
    for path in PACKAGE.rglob("*.html"):
        source = path.read_text(encoding="utf-8")
        source = re.sub(r"{#.*?#}|{% block bodyclass.*?{% endblock %}", "", source, flags=re.DOTALL)
        source = re.sub(r"{% blocktranslate.*?endblocktranslate %}", "", source, flags=re.DOTALL)
        # Tags of templates first: they stand inside attributes.
        visible = re.sub(r"<[^>]*>", " ", re.sub(r"{[%{].*?[%}]}", "", source, flags=re.DOTALL))
        words = re.findall(r"[A-Za-z]{2,}", re.sub(r"&\w+;", "", visible))
        assert words == [], path.name
