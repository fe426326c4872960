"""Hunts for planted or original values in bytes, in every form in which they could have slipped through."""

import base64
from collections.abc import Iterable

import numpy as np

WINDOW = 6  # bytes of each form that are looked for first; no form may be shorter
_MASK = np.uint64((1 << (8 * WINDOW)) - 1)
_SPREAD = np.uint64(0x9E3779B97F4A7C15)  # multiplicative hashing (Knuth): 2^64 divided by the golden ratio
_BITS = 22
_CHUNK = 1 << 24


def forms(text: str) -> dict[bytes, str]:
    """Return each byte form of a value that is worth a search, with a word for it."""
    found: dict[bytes, str] = {}
    for name, codec in (("utf-8", "utf_8"), ("utf-16le", "utf_16_le"), ("utf-16be", "utf_16_be")):
        found.setdefault(text.encode(codec), name)
    if not text.isascii():
        for codec in ("latin_1", "iso8859_2", "iso2022_jp"):
            try:
                found.setdefault(text.encode(codec), codec)
            except UnicodeEncodeError:
                continue
    raw = text.encode()
    found.setdefault(raw.hex().encode(), "hex")
    found.setdefault(raw.hex().upper().encode(), "HEX")
    for shift in range(3):
        found.setdefault(_base64(raw, shift), f"base64+{shift}")
    return {form: name for form, name in found.items() if len(form) >= WINDOW}


def _base64(raw: bytes, shift: int) -> bytes:
    """The characters that `raw` alone decides when it begins `shift` bytes into a group of three."""
    coded = base64.b64encode(bytes(shift) + raw)
    first = -(-shift * 8 // 6)
    last = (shift + len(raw)) * 8 // 6
    return coded[first:last]


class Hunt:
    """A fixed set of values, searched for all at once (some 50 MB a second, however many they are)."""

    def __init__(self, values: Iterable[str]) -> None:
        self._forms: dict[bytes, list[tuple[str, str]]] = {}
        for value in set(values):
            for form, name in forms(value).items():
                self._forms.setdefault(form, []).append((value, name))
        self._search = Search(self._forms)

    def find(self, data: bytes) -> set[tuple[str, str]]:
        """Return (value, form) of everything that occurs in `data`."""
        return {found for form, _end in self._search.hits(data) for found in self._forms[form]}


class Search:
    """Byte strings of at least WINDOW bytes, searched for all at once."""

    def __init__(self, wanted: Iterable[bytes]) -> None:
        self._ending: dict[bytes, list[bytes]] = {}
        for form in wanted:
            self._ending.setdefault(form[-WINDOW:], []).append(form)
        self._table = np.zeros(1 << _BITS, dtype=bool)
        ends = np.array([int.from_bytes(end, "little") for end in self._ending], dtype=np.uint64)
        self._table[self._slots(ends)] = True

    def hits(self, data: bytes) -> Iterable[tuple[bytes, int]]:
        """Yield what occurs in `data`, and the offset behind it."""
        for start in range(0, len(data), _CHUNK):
            for at in self._candidates(data[start : start + _CHUNK + 8]):
                end = start + at + WINDOW
                for form in self._ending.get(data[start + at : end], ()):
                    if data[max(0, end - len(form)) : end] == form:
                        yield form, end

    @staticmethod
    def _slots(windows: np.ndarray) -> np.ndarray:
        return ((windows * _SPREAD) >> np.uint64(64 - _BITS)).astype(np.uint32)

    def _candidates(self, chunk: bytes) -> Iterable[int]:
        padded = chunk + bytes(16)
        for offset in range(8):
            words = np.frombuffer(padded, "<u8", count=(len(padded) - offset) // 8, offset=offset)
            hits = np.nonzero(self._table[self._slots(words & _MASK)])[0]
            yield from (int(hit) * 8 + offset for hit in hits)
