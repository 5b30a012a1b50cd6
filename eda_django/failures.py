"""What is kept of an exception: texts that any database can store and anyone may read."""

import hashlib
import re
import sysconfig
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType

from .conf import MAX_NAME
from .payloads import without

MAX_TEXT = 10_000
MAX_TRACEBACK = 50_000
# What stands for the rest of a text that was cut.
_CUT = re.compile(r"… \((\d+) chars\)$")
_FRAME = re.compile(r'^  File "(.+?)", line \d+, in (.+)$', re.MULTILINE)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_TRACEBACK = BaseException.__dict__["__traceback__"].__get__
_OWN = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One failed attempt, in words. `fingerprint` is equal for failures of one cause."""

    kind: str
    text: str
    traceback: str
    fingerprint: str
    # The exception for the log, unless its text holds what must be masked, or would fill the log.
    exc_info: BaseException | None = None


def describe(error: BaseException, *, secrets: Iterable[str] = ()) -> Failure:
    """Return what to keep of an exception, with `secrets` masked. Never raises."""
    hidden = list(secrets)
    raw_text, raw_trace = _text_of(error), _trace_of(error)
    text = without(raw_text, hidden)
    trace = without(raw_trace, hidden)
    is_fit = (text, trace) == (raw_text, raw_trace) and len(trace) <= MAX_TRACEBACK
    kind = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    return Failure(
        kind=storable(kind, MAX_NAME),
        text=storable(text, MAX_TEXT),
        traceback=_end_of(trace),
        fingerprint=_fingerprint(kind, _frames_of(error)),
        exc_info=error if is_fit else None,
    )


def lost_worker() -> Failure:
    """Return what is recorded when a worker vanished in the middle of an attempt."""
    kind = "eda_django.WorkerLost"
    return Failure(
        kind=kind,
        text="The worker vanished while the subscriber ran: killed, out of memory or cut off.",
        traceback="",
        fingerprint=hashlib.sha256(kind.encode()).hexdigest()[:32],
    )


def plain(text: str) -> str:
    """Return the text in ASCII, for databases whose character set has not all of it."""
    return text.encode("ascii", "backslashreplace").decode()


def storable(text: str, limit: int) -> str:
    """Return the text as any database takes it: no NUL, no half surrogates, not too long."""
    if len(text) > limit:
        # It may have been cut before, for a column that takes more.
        cut = _CUT.search(text, len(text) - 40)
        length = cut[1] if cut else len(text)
        text = f"{text[: limit - 20]}… ({length} chars)"[:limit]
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def _end_of(trace: str) -> str:
    # A traceback says at its end what happened.
    if len(trace) > MAX_TRACEBACK:
        trace = f"…{trace[1 - MAX_TRACEBACK :]}"
    return storable(trace, MAX_TRACEBACK)


def _text_of(error: BaseException) -> str:
    try:
        # Joined, because a subclass of str may answer, and do anything when it is used.
        return "".join(("", str(error)))
    except BaseException as second:
        return f"(str() of the exception raised {type(second).__qualname__})"


def _trace_of(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(error))
    except BaseException:
        # Only the frames: formatting the exception itself is what failed.
        return "".join(traceback.format_tb(_frames_of(error)))


def _frames_of(error: BaseException) -> TracebackType | None:
    # Not by the attribute, which a class may have made a property that raises.
    trace: TracebackType | None = _TRACEBACK(error)
    return trace


def _fingerprint(kind: str, trace: TracebackType | None) -> str:
    # Function names, not line numbers: an edit above the line must not split the group.
    return hashlib.sha256(f"{kind}|{_site_frame(trace)}".encode(errors="replace")).hexdigest()[:32]


def _site_frame(trace: TracebackType | None) -> str:
    """Return the site's own function that is nearest to the error; a library's if there is none."""
    found = last = ""
    while trace is not None:
        code = trace.tb_frame.f_code
        last = f"{trace.tb_frame.f_globals.get('__name__', '')}:{code.co_qualname}"
        if _is_site_code(code.co_filename):
            found = last
        trace = trace.tb_next
    return found or last


def site_frame_in(trace: str) -> str:
    """Return, from a traceback's text, the function that the fingerprint is about; or nothing."""
    frames = [(found[1], found[2]) for found in _FRAME.finditer(trace)]
    own = [frame for frame in frames if _is_site_code(frame[0])]
    if not frames:
        return ""
    path, function = (own or frames)[-1]
    return f"{'/'.join(Path(path).parts[-2:])}: {function}"


@lru_cache(maxsize=4096)
def _is_site_code(filename: str) -> bool:
    path = Path(filename)
    libraries = {Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib")}
    return not any(path.is_relative_to(folder) for folder in (*libraries, _OWN))
