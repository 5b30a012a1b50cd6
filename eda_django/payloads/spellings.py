"""Where a text has a value: as it is, as repr() or JSON escape it, indented, or cut short."""

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator

# Shorter values would mask half of every text ("1" in "2021").
MIN_SECRET = 3
# Pydantic leaves 25 characters on either side of its dots, and others not many more.
MAX_CUT = 200
Span = tuple[int, int]

# Whatever str.splitlines() ends a line with: the next one is indented in an ExceptionGroup.
_ENDS = "\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029"
_ENDS_IN_HEX = "x(?:0[a-dA-D]|1[c-eC-E]|85)|u(?:00(?:0[a-dA-D]|1[c-eC-E]|85)|202[89])"
_HEX = "[0-9a-fA-F]"
_END = rf"\\*[{_ENDS}]|\\+(?:[nrf]|{_ENDS_IN_HEX})"
# All that is spelled in several ways. It begins with one set, so that the rest is skipped fast,
# and reads each run of backslashes a few times at most.
_ODD = re.compile(
    rf"[\\{_ENDS}\t\x08.…](?:"
    rf"(?P<end>(?:(?<=[{_ENDS}])|(?<=\\)\\*(?:[nrf{_ENDS}]|{_ENDS_IN_HEX}))[ |+]*"
    rf"(?:(?:{_END})[ |+]*)*)"
    r"|(?P<tab>(?<=\t)|(?<=\\)\\*t)|(?P<back>(?<=\x08)|(?<=\\)\\*b)"
    r"|(?P<dots>(?<=…)|(?<=\.)\.\.+)"
    rf"|(?<=\\)\\*(?:u(?P<high>[dD][89abAB]{_HEX}{{2}})\\+u(?P<low>[dD][c-fC-F]{_HEX}{{2}})"
    rf"|x(?P<two>{_HEX}{{2}})|u(?P<four>{_HEX}{{4}})|U(?P<eight>00(?:0{_HEX}|10){_HEX}{{4}})"
    # Nothing: what is escaped stands after it, or the dots that the escape was cut off by.
    rf"|(?P<lost>(?=[^ -~]|['\"])|(?:[xuU]{_HEX}{{0,7}})?(?=\.{{3}}|\\*…|\\+u2026))|))"
)
_NAMED = {"end": r"\n", "tab": r"\t", "back": r"\b", "dots": "…", "lost": ""}
_CONTROLS = {"\t": r"\t", "\b": r"\b"}
# What no way of writing escapes.
_EVEN = re.compile("[A-Za-z0-9_]+")
# What is left of an escape after the dots that cut it.
_REST = re.compile(rf"\\?(?:[nrtbf]|[xuU]?{_HEX}{{1,7}})?")


def spans(text: str, secrets: Collection[str]) -> list[Span]:
    """Return where the secrets stand in a text, in order and without overlaps."""
    # What a secret is used for seldom has the line's end of the file that it comes from.
    stripped = {secret.strip() for secret in secrets}
    found = [span for value in _long({*secrets, *stripped}) for span in _places(text, value)]
    found += _odd_places(text, _long(stripped))
    return _joined(found)


def _long(values: set[str]) -> list[str]:
    return [value for value in values if len(value) >= MIN_SECRET]


class _Plain:
    """A text with one spelling for each character, and the way back to the places in it."""

    def __init__(self, text: str) -> None:
        # Where each odd part begins and ends: first in this text, then in the one that was read.
        self._begins, self._ends = array("q"), array("q")
        self._from, self._to = array("q"), array("q")
        self._last = self._length = 0
        self.text = _ODD.sub(self._put, text)

    def back(self, begin: int, end: int) -> Span:
        return self._place(begin, is_end=False), self._place(end - 1, is_end=True)

    def _put(self, found: re.Match[str]) -> str:
        plain = _plainly(found)
        begin, end = found.span()
        self._length += begin - self._last
        self._begins.append(self._length)
        self._length += len(plain)
        self._ends.append(self._length)
        self._from.append(begin)
        self._to.append(end)
        self._last = end
        return plain

    def _place(self, at: int, *, is_end: bool) -> int:
        odd = bisect_right(self._begins, at) - 1
        if odd < 0:
            return at + is_end
        if at < self._ends[odd]:
            return self._to[odd] if is_end else self._from[odd]
        return self._to[odd] + at - self._ends[odd] + is_end


def _plainly(found: re.Match[str]) -> str:
    kind = found.lastgroup
    if kind is None:
        return "\\"
    if kind in _NAMED:
        return _NAMED[kind]
    if kind == "low":
        high, low = int(found["high"], 16), int(found["low"], 16)
        return chr(0x10000 + ((high - 0xD800) << 10) + low - 0xDC00)
    character = chr(int(found[kind], 16))
    return _CONTROLS.get(character, character)


def _odd_places(text: str, values: Collection[str]) -> Iterator[Span]:
    """Yield where values are spelled in another way than they are, or cut."""
    is_cut = "..." in text or "…" in text
    wanted = [value for value in values if is_cut or _may_be_in(text, value)]
    if not wanted:
        return
    plain = _Plain(text)
    spelled = _spelled_plainly(wanted)
    for value in spelled:
        for begin, end in _places(plain.text, value):
            yield plain.back(begin, end)
    if is_cut:
        yield from _Cuts(spelled).pieces(plain)


def _may_be_in(text: str, value: str) -> bool:
    """Return whether a text can have the value in another spelling. Most texts have none."""
    if _EVEN.fullmatch(value):
        return False
    return max(_EVEN.findall(value), key=len, default="") in text


def _spelled_plainly(values: Collection[str]) -> list[str]:
    # As the text of bytes, too, in which each byte of a character is escaped.
    spelled = {form for one in values for form in (one, one.encode(errors="replace").decode("l1"))}
    # At either end stands what may belong to its neighbour in the text.
    plain = {_Plain(one).text.strip("\\…. ").lstrip(" |+") for one in spelled}
    return _long(plain)


def _places(text: str, value: str) -> Iterator[Span]:
    at = text.find(value)
    while at >= 0:
        yield at, at + len(value)
        at = text.find(value, at + len(value))


class _Cuts:
    """What may be left of values that were cut: sorted, or many would take long at many dots."""

    def __init__(self, values: Collection[str]) -> None:
        self._heads = sorted(values)
        self._tails = sorted(value[::-1] for value in values)
        self._head_keys = {value[:MIN_SECRET] for value in values}
        self._tail_keys = {value[-MIN_SECRET:] for value in values}

    def pieces(self, plain: _Plain) -> Iterator[Span]:
        """Yield where dots follow a beginning of a value, or the end of one follows dots."""
        text = plain.text
        begins, ends = _all_of(text, self._head_keys), _all_of(text, self._tail_keys)
        for dots, after in _places(text, "…") if begins or ends else ():
            cut, goes_on = plain.back(dots, after)
            for at in _between(begins, dots - MAX_CUT, dots - MIN_SECRET):
                if _begins_one_of(self._heads, text[at:dots]):
                    yield plain.back(at, dots)[0], cut
                    break
            for at in reversed(_between(ends, after, after + MAX_CUT - MIN_SECRET)):
                if self._is_tail(text[after : at + MIN_SECRET]):
                    yield goes_on, plain.back(after, at + MIN_SECRET)[1]
                    break

    def _is_tail(self, text: str) -> bool:
        """Return whether a value ends with the text, what is left of an escape apart."""
        rest = _REST.match(text)
        skipped = min(rest.end() if rest else 0, len(text) - MIN_SECRET)
        return any(_begins_one_of(self._tails, text[at:][::-1]) for at in range(skipped + 1))


def _all_of(text: str, keys: Collection[str]) -> list[int]:
    """Return where one of these texts of MIN_SECRET characters stands."""
    if not any(key in text for key in keys):
        return []
    return [at for at in range(len(text)) if text[at : at + MIN_SECRET] in keys]


def _between(places: list[int], first: int, last: int) -> list[int]:
    return places[bisect_left(places, first) : bisect_right(places, last)]


def _begins_one_of(values: list[str], text: str) -> bool:
    """Return whether one of these, which are in order, begins with the text."""
    at = bisect_left(values, text)
    return at < len(values) and values[at].startswith(text)


def _joined(found: list[Span]) -> list[Span]:
    joined: list[Span] = []
    for begin, end in sorted(found):
        if joined and begin < joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((begin, end))
    return joined
