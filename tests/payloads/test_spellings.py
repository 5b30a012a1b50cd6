"""REDACT: a secret is masked in whatever way an exception's text spells it."""

import json
import sys
import traceback
from collections.abc import Callable

import pytest
from pydantic import BaseModel

from eda_django.payloads import without

PEM = "-----BEGIN KEY-----\nMIIEsecret\n\r\nABCDEFtop\n-----END KEY-----\n"
LOGIN = 'DOM\\new\'s "pässword"\\\t\x1b\x85😀\U0010ffff…end'


class Number(BaseModel):
    number: int


def grouped(secret: str) -> str:
    """Return the traceback of groups, which indents each line of a text."""
    error = ExceptionGroup("one", [ExceptionGroup("two", [ValueError(secret)])])
    return "".join(traceback.format_exception(error))


def refused(value: object) -> str:
    """Return pydantic's own text, which cuts the value."""
    with pytest.raises(ValueError, match="valid integer") as caught:
        Number.model_validate({"number": value})
    assert "..." in str(caught.value)
    return str(caught.value)


SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "by repr": repr,
    "in the repr of a dict": lambda secret: f"{ {'k': secret}!r}",
    "as a key that is missing": lambda secret: str(KeyError(secret)),
    "by repr twice": lambda secret: str(KeyError(f"no {[secret]!r}")),
    "by ascii": ascii,
    "as JSON": json.dumps,
    "as JSON in JSON": lambda secret: json.dumps(json.dumps({"k": secret})),
    "as JSON by repr": lambda secret: repr(json.dumps({"k": secret}, ensure_ascii=False)),
    "in upper case": lambda secret: json.dumps(secret).replace("u00e4", "u00E4"),
    "in a group": grouped,
    "by repr in a group": lambda secret: grouped(repr(secret)),
    "as bytes": lambda secret: repr(secret.encode()),
}


@pytest.mark.parametrize("spelled", SPELLINGS.values(), ids=SPELLINGS.keys())
@pytest.mark.parametrize("secret", [PEM, LOGIN], ids=["of several lines", "with odd characters"])
def test_secret_is_masked_in_every_spelling(secret: str, spelled: Callable[[str], str]) -> None:
    """G9."""
    text = without(f"before {spelled(secret)} after", [secret])
    assert text.startswith("before ")
    assert text.endswith(" after")
    assert text.count("***") == 1
    assert not [part for part in ("BEGIN", "secret", "top", "END", "DOM", "new", "end")
                if part in text.replace("append", "")]  # fmt: skip


@pytest.mark.parametrize(
    "secret", ["AbCd1234" * 9, PEM.strip(), "p\\'\x1b" * 20], ids=["plain", "PEM", "odd"]
)
@pytest.mark.parametrize("name", ["k", "kk", "kkk", "kkkk", "a" * 10])
def test_both_ends_of_a_secret_that_pydantic_cuts_are_masked(secret: str, name: str) -> None:
    """G9: wherever the cut falls, in the middle of an escape, too."""
    for text in (refused(secret), refused({name: secret})):
        shown = without(text, [secret]).partition("input_value=")[2].partition(", input_type")[0]
        rest = shown.replace(f"'{name}': ", "").replace("\\", "").replace('"', "'")
        assert rest.strip("{}") == "'***...***'", shown


def test_what_was_cut_for_its_column_is_masked_up_to_the_cut() -> None:
    """The admin masks again, by the REDACT of today."""
    assert without("said topsec… (20000 chars)", ["topsecret"]) == "said ***… (20000 chars)"
    assert without("…secret was said", ["topsecret"]) == "…*** was said"


def test_what_only_begins_as_a_secret_is_let_be() -> None:
    assert without("top of it, to...et, secret", ["topsecret"]) == "top of it, to...et, secret"
    assert without("DOM\\alice and C:\\new", ["DOM\\alicia", "C:\\new'"]) == (
        "DOM\\alice and C:\\new"
    )


def test_secrets_that_overlap_are_masked_together() -> None:
    assert without("abcdefg", ["abcd", "cdef"]) == "***g"
    assert without(repr("DOM\\alice:pw"), ["alice", "DOM\\alice:pw"]) == "'***'"


def test_text_around_a_secret_is_no_part_of_it() -> None:
    assert without(r"x\n\"ä\\b\" \u0041\UFFFFFFFF", ['"ä\\b"']) == r"x\n\*** \u0041\UFFFFFFFF"
    assert without(r"\b\ud83d\ude00\t\u0009z\ud83d", ["\b😀\t\tz"]) == r"***\ud83d"


@pytest.mark.parametrize(
    "text",
    ["\\" * 200_000, "a\n" * 100_000, "\n\\\\" * 60_000, '\\"a' * 60_000, "a..." * 50_000,
     "\\ud83d" * 32_000, "a" * 200_000],
    ids=["backslashes", "lines", "both", "quotes", "dots", "surrogates", "letters"],
)  # fmt: skip
@pytest.mark.parametrize(
    "secret",
    [
        "\\" * 9_000 + "ä",
        "a\n" * 9_000 + "b",
        "\n\\" * 9_000 + "b",
        '"a' * 9_000 + "b",
        "a" * 9_999,
    ],
    ids=["backslashes", "lines", "both", "quotes", "letters"],
)
@pytest.mark.thorough
@pytest.mark.timeout(30)
def test_masking_of_a_long_text_comes_to_an_end(text: str, secret: str) -> None:
    """G4: if it took as long as the text is long, squared, it would take minutes."""
    without(text, [secret])


def test_masking_of_many_secrets_that_were_cut_does_no_more_for_each() -> None:
    """G4: a worker that compares each with each would be taken for dead."""

    def calls(count: int) -> int:
        secrets = [f"{number:05}-some-address@example.com-{number:05}" for number in range(count)]
        text = " ".join(f"{secret[:12]}...{secret[-12:]}" for secret in secrets)
        counted = 0

        def count_call(frame: object, event: str, arg: object) -> None:
            nonlocal counted
            counted += event in ("call", "c_call")

        before = sys.getprofile()
        sys.setprofile(count_call)
        try:
            shown = without(text, secrets)
        finally:
            sys.setprofile(before)
        assert shown == " ".join(["***...***"] * count)
        return counted

    assert calls(400) < 5 * calls(100)


def test_failures_without_secrets_cost_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("eda_django.payloads.spellings._Plain")
    text = f"{grouped('what was wrong')} \\n"
    assert without(text, []) == text
    assert without(text, ["4111111111111111", PEM]) == text
