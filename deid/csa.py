import re
import struct
from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

from deid.tables.loader import records

# What is known of the layout ("CSA2"): SV10, four bytes, the number of tags, a check; a tag is its name, VM,
# VR, type number, number of items and a check; an item is four numbers, the second its length, and the text
# of one value, padded to four bytes.
_MAGIC = b"SV10\4\3\2\1"
_START = struct.Struct("<II")
_TAG = struct.Struct("<64si4siii")
_ITEM = struct.Struct("<4i")
_CHECK, _UNUSED_CHECK = 77, 205
_LEAST_ITEMS = 6  # scanners write no fewer, and readers look at them without counting
_MOST_BYTES = 4 << 20
_MOST_TAGS = 1024
_TYPES = {"DS": 3, "FD": 4, "FL": 5, "IS": 6, "SL": 7, "US": 10}
_NUMBER = re.compile(rb"[+-]?[0-9]{1,8}(?:\.[0-9]{1,12})?", re.ASCII)


class _Listed(NamedTuple):
    vr: str
    most: int
    least: float
    greatest: float


def csa_numbers(blob: bytes) -> bytes | None:
    """Return a new CSA header with the harmless numbers of one; None where none are left, or it is odd.

    These headers hold protocols, free text and, between the texts, whatever lay in the scanner's memory:
    nothing of the old bytes is taken over but numbers of the tags in csa_numbers.tsv, each in its range.
    """
    if not blob.startswith(_MAGIC) or len(blob) > _MOST_BYTES:
        return None
    kept: dict[str, list[bytes]] = {}
    seen: set[bytes] = set()
    try:
        for name, texts in _tags(blob):
            if name in seen:
                return None  # which of two counts, readers disagree
            seen.add(name)
            listed = _listed().get(name)
            numbers = None if listed is None else _numbers(texts, listed)
            if numbers:
                kept[name.decode("ascii")] = numbers
    except (struct.error, ValueError):
        return None
    return _built(kept) if kept else None


def csa_texts(blob: bytes) -> dict[str, tuple[str, ...]]:
    """Return the texts of every tag of a CSA header; nothing of one that is odd or of an older kind."""
    if not blob.startswith(_MAGIC) or len(blob) > _MOST_BYTES:
        return {}
    found: dict[str, tuple[str, ...]] = {}
    try:
        for name, texts in _tags(blob):
            values = [text.partition(b"\0")[0].strip(b" ").decode("latin-1") for text in texts]
            found[name.decode("latin-1")] = tuple(value for value in values if value)
    except (struct.error, ValueError):
        return {}
    return found


def _tags(blob: bytes) -> Iterator[tuple[bytes, list[bytes]]]:
    """Yield name and texts of every tag; no length is believed before it fits.

    Raises:
        ValueError: a number of tags or items, a check or a length that cannot be.
        struct.error: the bytes end too early.
    """
    count, check = _START.unpack_from(blob, len(_MAGIC))
    if check != _CHECK or not 0 < count <= _MOST_TAGS:
        raise ValueError("start")
    position = len(_MAGIC) + _START.size
    for _ in range(count):
        name, _vm, _vr, _type, items, check = _TAG.unpack_from(blob, position)
        if check not in {_CHECK, _UNUSED_CHECK} or items < 0:
            raise ValueError("tag")
        position += _TAG.size
        texts: list[bytes] = []
        for _ in range(items):
            _length, length, _check, _again = _ITEM.unpack_from(blob, position)
            position += _ITEM.size
            if not 0 <= length <= len(blob) - position:
                raise ValueError("item")
            texts.append(blob[position : position + length])
            position += length + -length % 4
        yield name.partition(b"\0")[0], texts


def _numbers(texts: Sequence[bytes], listed: _Listed) -> list[bytes] | None:
    """Return the values that are given, as texts; None where one of them is not what it should be."""
    values = [text.partition(b"\0")[0].strip(b" ") for text in texts]
    while values and not values[-1]:
        values.pop()
    if len(values) > listed.most:
        return None
    fits = all(_NUMBER.fullmatch(one) and listed.least <= float(one) <= listed.greatest for one in values)
    return values if fits else None


def _built(kept: dict[str, list[bytes]]) -> bytes:
    parts = [_MAGIC, _START.pack(len(kept), _CHECK)]
    for name, values in kept.items():
        listed = _listed()[name.encode("ascii")]
        unused = max(0, _LEAST_ITEMS - len(values))
        head = (name.encode("ascii"), len(values), listed.vr.encode("ascii"), _TYPES[listed.vr])
        parts.append(_TAG.pack(*head, len(values) + unused, _CHECK))
        for value in values:
            text = value + b"\0"
            parts += (_ITEM.pack(len(text), len(text), _CHECK, len(text)), text, bytes(-len(text) % 4))
        parts.append(_ITEM.pack(0, 0, _UNUSED_CHECK, 0) * unused)
    return b"".join((*parts, bytes(4)))


@cache
def _listed() -> dict[bytes, _Listed]:
    return {
        name.encode("ascii"): _Listed(vr, int(most), float(least), float(greatest))
        for name, vr, most, least, greatest, _meaning in records("csa_numbers.tsv")
    }
