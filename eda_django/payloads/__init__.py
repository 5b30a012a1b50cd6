"""From a payload to JSON and back, by the types that its class declares."""

from .adapters import adapter
from .codec import decode, decode_text, encode, encode_headers
from .masks import Stray, StrayMasks, addressed, unmasked
from .redaction import MASK, described, is_redacted, masked, redacted_values, without
from .trees import text_problem

__all__ = [
    "MASK",
    "Stray",
    "StrayMasks",
    "adapter",
    "addressed",
    "decode",
    "decode_text",
    "described",
    "encode",
    "encode_headers",
    "is_redacted",
    "masked",
    "redacted_values",
    "text_problem",
    "unmasked",
    "without",
]
