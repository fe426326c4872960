"""Whether bytes that should be numbers hide words: in plain letters, wide ones, among numbers, or packed."""

import re
from array import array

import numpy as np
from numpy.typing import NDArray

from deid.packed import is_packed
from deid.scripts import is_script

_LEAST_BYTES, _LEAST_KINDS, _LEAST_WIDE = 8, 4, 8
_FLOATS = {"FD": "d", "FL": "f", "OD": "d", "OF": "f"}
_LEAST_SIZE, _GREATEST_SIZE = 1e-9, 1e9
_FEW_BYTES = 256

# What names, numbers of records and coded bytes are made of; ten of them are no chance in a table of numbers
# unless the numbers next to them are like them.
_LETTERS = rb"[A-Za-z0-9^ ,.@=_/+-]"
_RUN = re.compile(_LETTERS + rb"{10,}")
_SHORT_RUN, _SHORT_BYTES = re.compile(_LETTERS + rb"{7,}"), 64  # a short value has less room for chance
# Letters of two bytes or four each, those before the zeros and those behind them.
_WIDE_RUN = re.compile(rb"(?:[A-Za-z0-9^ ]\0){8,}|(?:[A-Za-z0-9^ ]\0\0\0){8,}")
_LARGE_PART = 4  # a run that is a quarter of the value is not amid numbers
# How much more than the others neighbours in a run of words differ, as bytes and as cells of several.
_BYTE_JUMP, _CELL_JUMP = 2, 4
_CELLS = {"OB": "<u1", "SS": "<i2", "SL": "<i4", "OL": "<u4", "UL": "<u4"} | {
    vr: f"<f{8 if code == 'd' else 4}" for vr, code in _FLOATS.items()
}
_BYTES, _WORDS = "<u1", "<u2"
_OF_WORDS = frozenset({"OW", "US", "UN"})


def hides_words(vr: str, raw: bytes) -> bool:
    """Whether little endian numbers of a VR are, hold, or unpack to text."""
    if len(raw) < _LEAST_BYTES:
        return False
    if _is_text(vr, raw) or _is_wide_text(raw) or _is_amid_numbers(vr, raw) or _is_wide_amid(vr, raw):
        return True
    if is_script(raw):
        return True
    return not _are_plausible(vr, raw) and is_packed(raw)


def ends_in_words(raw: bytes | memoryview) -> bool:
    """Whether the last bytes of a stream are words; bytes that only fill it up left out."""
    tail = bytes(raw[-_LONGEST_TAIL:]).rstrip(b"\0\xff")
    run = _LAST_RUN.search(tail)
    return run is not None and not _is_ordered(run[0])


_LONGEST_TAIL = 64
_LAST_RUN = re.compile(_RUN.pattern + rb"\Z")


def _is_text(vr: str, raw: bytes) -> bool:
    """Whether the bytes are printable, all of them.

    Numbers are printable by chance, too (10.6 is `333333%@`), so they also have to be odd as numbers: floats
    of no sensible size, numbers made of several letters and digits.
    """
    trimmed = raw.rstrip(b"\0 ")
    if len(trimmed) < _LEAST_BYTES or not trimmed.isascii() or not trimmed.decode("ascii").isprintable():
        return False
    if vr not in _FLOATS:
        return _kinds(trimmed) >= _LEAST_KINDS
    chunks = (trimmed[at : at + 8] for at in range(0, len(trimmed) - 7, 8))
    return not _are_plausible(vr, raw) or all(_kinds(chunk) > _LEAST_KINDS for chunk in chunks)


def _are_plausible(vr: str, raw: bytes) -> bool:
    """Whether the bytes are floats of sensible sizes: packed bytes are not, in any number worth a word."""
    code = _FLOATS.get(vr)
    if code is None:
        return False
    size = 8 if code == "d" else 4
    whole = raw[: len(raw) - len(raw) % size]
    if len(whole) > _FEW_BYTES:
        many = np.abs(np.frombuffer(whole, f"<f{size}"))
        return bool(np.all((many == 0) | ((many > _LEAST_SIZE) & (many < _GREATEST_SIZE))))
    few = map(abs, array(code, whole))
    return all(one == 0 or _LEAST_SIZE < one < _GREATEST_SIZE for one in few)


def _is_wide_text(raw: bytes) -> bool:
    """Whether the bytes are letters of two or four bytes each; numbers in order are none."""
    for size in (4, 2):
        for place in (0, size - 1):
            letters = raw[place::size].rstrip(b"\0")
            others = (raw[at::size] for at in range(size) if at != place)
            if len(letters) >= _LEAST_WIDE and not any(any(other) for other in others):
                return _is_like_text(letters)
    return False


def _is_like_text(letters: bytes) -> bool:
    printable = letters.isascii() and letters.decode("ascii").isprintable()
    alphabetic = sum(map(str.isalnum, map(chr, letters)))
    return printable and alphabetic * 2 >= len(letters) and not _is_ordered(letters)


def _kinds(letters: bytes) -> int:
    return len({letter for letter in letters if chr(letter).isalnum()})


def _is_ordered(letters: bytes) -> bool:
    """Whether bytes rise or fall, as those of palettes do, or are too few kinds to be words."""
    rising = sorted(letters)
    return bytes(rising) in {letters, letters[::-1]} or _kinds(letters) < _LEAST_KINDS


def _is_amid_numbers(vr: str, raw: bytes) -> bool:
    """Whether a run of letters and digits stands out from the numbers around it."""
    form = _SHORT_RUN if len(raw) <= _SHORT_BYTES else _RUN
    runs = [match for match in form.finditer(raw) if not _is_ordered(match[0])]
    if not runs:
        return False
    if any(len(run[0]) * _LARGE_PART >= len(raw) for run in runs):
        return vr not in _FLOATS or not _are_plausible(vr, raw)
    spans = [run.span() for run in runs]
    if _stands_out(raw, _CELLS.get(vr, _WORDS), spans) or _are_odd_floats(vr, raw, spans):
        return True
    # Bytes among words, also where words were written the other way round (big endian).
    return vr in _OF_WORDS and any(_stands_out(one, _BYTES, spans) for one in (raw, _turned(raw)))


def _is_wide_amid(vr: str, raw: bytes) -> bool:
    """Whether a run of wide letters stands among numbers: no floats are so, and whole numbers differ less."""
    for match in _WIDE_RUN.finditer(raw):
        letters = match[0].replace(b"\0", b"")
        if _is_ordered(letters):
            continue
        start, stop = match.span()
        odd = start % 2
        if vr in _FLOATS or _stands_out(raw[odd:], _WORDS, [(start - odd, stop - odd)]):
            return True
    return False


def _are_odd_floats(vr: str, raw: bytes, runs: list[tuple[int, int]]) -> bool:
    """Whether floats that are letters have no sensible size, while most of the others do."""
    if vr not in _FLOATS:
        return False
    size = 8 if _FLOATS[vr] == "d" else 4
    with np.errstate(all="ignore"):
        cells = np.abs(np.frombuffer(raw[: len(raw) - len(raw) % size], f"<f{size}").astype(np.float64))
        odd = ~((cells == 0) | ((cells > _LEAST_SIZE) & (cells < _GREATEST_SIZE)))
    if odd.sum() * 2 >= len(odd):
        return False
    return any(odd[-(-start // size) : stop // size].any() for start, stop in runs)


def _turned(raw: bytes) -> bytes:
    return np.frombuffer(raw[: len(raw) // 2 * 2], _WORDS).byteswap().tobytes()


def _stands_out(raw: bytes, form: str, runs: list[tuple[int, int]]) -> bool:
    size = np.dtype(form).itemsize
    cells = np.frombuffer(raw[: len(raw) - len(raw) % size], form).astype(np.float64)
    usual = _step(cells)
    most = usual * (_BYTE_JUMP if size == 1 else _CELL_JUMP)
    inside = (cells[-(-start // size) : stop // size] for start, stop in runs)
    return any(not _step(run) <= most for run in inside if len(run) > 1)


def _step(cells: NDArray[np.float64]) -> float:
    """Return how much neighbours differ, mostly."""
    with np.errstate(all="ignore"):
        return float(np.median(np.abs(np.diff(cells))))
