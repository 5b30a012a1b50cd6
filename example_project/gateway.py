"""A stand-in for a payment provider, as its client library would look. It is no service of ours."""

from decimal import Decimal
from uuid import UUID, uuid5

from django.conf import settings

_REFERENCES = UUID("4f0b6f0e-3f0c-4d4b-9a7e-6f1f6f0a2c11")

# The usual test cards: number, token, and what the provider does with it.
TEST_CARDS = (
    ("4242 4242 4242 4242", "tok_works", "works"),
    ("4000 0000 0000 0002", "tok_declined", "is declined, the stock is released again"),
    ("4000 0000 0000 0119", "tok_flaky", "works at the second attempt"),
    ("4000 0000 0000 0259", "tok_down", "the gateway is down: ends as a dead letter"),
)
_TOKENS = {number.replace(" ", ""): token for number, token, _ in TEST_CARDS}


class UnknownCard(Exception):
    """The provider does not know this card."""


class CardDeclined(Exception):
    """The bank said no; asking again would not help."""


class GatewayError(Exception):
    """The provider has a problem of its own; asking again may help."""


def is_back() -> bool:
    """Return whether the outage is over; make the file to end it, and retry what has failed."""
    return (settings.DEMO_DIR / "gateway_is_back").exists()


def tokenize(number: str) -> str:
    """Exchange a card number for a token that is worth one charge. Raises UnknownCard."""
    try:
        return _TOKENS["".join(c for c in number if c.isdigit())]
    except KeyError:
        raise UnknownCard("This demo takes the test cards only.") from None


def charge(token: str, amount: Decimal, *, request_id: UUID, attempt: int) -> str:
    """Charge the card and return a reference: the same one for the same `request_id`.

    `attempt` is what lets this stand-in fail the first time only; a real one would just fail.
    Raises CardDeclined or GatewayError.
    """
    if token == "tok_declined":  # noqa: S105
        raise CardDeclined("The bank declined the card.")
    is_down = token == "tok_down" and not is_back()  # noqa: S105
    if is_down or (token == "tok_flaky" and attempt == 1):  # noqa: S105
        raise GatewayError("The payment gateway answered 503 Service Unavailable.")
    return f"ch_{uuid5(_REFERENCES, f'{request_id} {amount}').hex[:16]}"
