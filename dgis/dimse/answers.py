"""Identifiers of responses, written by hand: matches and lists of failed instances (PS3.4 C.4.1.1.3.2).

A pydicom data set takes half a millisecond to encode, and a thousand matches are asked for at once.
"""

import zlib
from collections.abc import Iterable, Mapping
from struct import Struct

from catalog.attributes import ATTRIBUTES
from catalog.query import Level
from deid.deflate import is_deflated
from deid.elements import Encoding, encoding_of

Value = str | int | tuple[str, ...]

_CHARACTER_SET = 0x00080005
_LEVEL = 0x00080052
_RETRIEVE_AE = 0x00080054
_AVAILABILITY = 0x00080056
_FAILED_UIDS = 0x00080058

_UTF_8 = "ISO_IR 192"
_ONLINE = "ONLINE"  # what is found can be had at once, from the cache or from the nodes
_MOST_BYTES = 0xFFFE  # of a value whose length field has two bytes, PS3.5 7.1.2
_NUMBERS = {"US": "H", "UL": "I"}
_MOST_KNOWN = 256  # written values of one element that are kept during a query


class _Element:
    """One element of every answer: its header form, and how its value is written."""

    def __init__(self, tag: int, vr: str, encoding: Encoding) -> None:
        order = encoding.order
        number = _NUMBERS.get(vr)
        self._number = Struct(order + number) if number else None
        self._pad = b"\0" if vr == "UI" else b" "
        start = Struct(order + "HH").pack(tag >> 16, tag & 0xFFFF)
        self._start = start if encoding.implicit else start + vr.encode()
        self._length = Struct(order + ("I" if encoding.implicit else "H"))
        self.known: dict[Value | None, bytes] = {None: self._framed(b""), "": self._framed(b"")}

    def write(self, value: Value | None) -> bytes:
        """Return the element; what many matches share is written once (`known`)."""
        found = self.known.get(value)
        if found is None:
            found = self._framed(self._raw(value))
            if len(self.known) < _MOST_KNOWN:
                self.known[value] = found
        return found

    def _framed(self, raw: bytes) -> bytes:
        raw = raw[:_MOST_BYTES]
        if len(raw) % 2:
            raw += self._pad
        return self._start + self._length.pack(len(raw)) + raw

    def _raw(self, value: Value | None) -> bytes:
        if self._number is not None:
            return self._number.pack(int(str(value)))
        return ("\\".join(value) if isinstance(value, tuple) else str(value)).encode()


class MatchWriter:
    """Writes the matches of one query; all that does not change from one to the next is prepared once."""

    def __init__(self, keywords: Iterable[str], level: Level, retrieve_ae: str, transfer_syntax: str) -> None:
        encoding = encoding_of(transfer_syntax)
        self._deflated = is_deflated(transfer_syntax)
        self._character_set = _Element(_CHARACTER_SET, "CS", encoding).write(_UTF_8)
        fixed = {
            _LEVEL: _Element(_LEVEL, "CS", encoding).write(level.value),
            _RETRIEVE_AE: _Element(_RETRIEVE_AE, "AE", encoding).write(retrieve_ae),
            _AVAILABILITY: _Element(_AVAILABILITY, "CS", encoding).write(_ONLINE),
        }
        rows: dict[int, tuple[str, _Element]] = {}
        for keyword in keywords:
            attribute = ATTRIBUTES[keyword]
            rows[attribute.tag] = (keyword, _Element(attribute.tag, attribute.vr, encoding))
        tags = sorted({*rows, *fixed})
        self._parts = [fixed.get(tag, b"") for tag in tags]  # with the places of the rows empty
        self._places = [(place, *rows[tag]) for place, tag in enumerate(tags) if tag in rows]

    def write(self, values: Mapping[str, Value | None]) -> bytes:
        """Return the identifier of one match; a keyword without a value is written empty."""
        parts = self._parts.copy()
        for place, keyword, element in self._places:
            value = values.get(keyword)
            parts[place] = element.known.get(value) or element.write(value)
        plain = b"".join(parts)
        if not plain.isascii():
            plain = self._character_set + plain
        return _deflated(plain) if self._deflated else plain


def failed_list(sop_instance_uids: Iterable[str], transfer_syntax: str) -> bytes:
    """Return an identifier that names the instances which could not be sent (PS3.4 C.4.2.1.4.2)."""
    encoding = encoding_of(transfer_syntax)
    # A short length field holds a thousand UIDs; the rest is counted, as the counts of the response say.
    room = _MOST_BYTES if not encoding.implicit else 1 << 31
    kept: list[str] = []
    size = 0
    for uid in sop_instance_uids:
        size += len(uid) + 1
        if size > room:
            break
        kept.append(uid)
    plain = _Element(_FAILED_UIDS, "UI", encoding).write(tuple(kept))
    return _deflated(plain) if is_deflated(transfer_syntax) else plain


def _deflated(plain: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    stream = deflater.compress(plain) + deflater.flush()
    return stream + b"\0" * (len(stream) % 2)  # PS3.5 A.5
