"""Values in the DICOM JSON Model (PS3.18 F.2.3 to F.2.5), as bytes."""

import math
import re
from collections.abc import Callable, Iterable
from json.encoder import encode_basestring

Write = Callable[[Iterable[str | int | float]], bytes]

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_MOST_DIGITS = 15  # that a reader's double keeps as they are
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_DECIMAL = frozenset({"DS", "IS", "SV", "UV"})


def quoted(text: str) -> str:
    """Return a text as JSON writes it."""
    return encode_basestring(text)


def texts(values: Iterable[str | int | float]) -> bytes:
    """Write texts; an empty value among others is null (F.2.5)."""
    return ",".join(encode_basestring(str(value)) if value != "" else "null" for value in values).encode(
        "utf-8", "replace"
    )


def decimals(values: Iterable[str | int | float]) -> bytes:
    """Write DS, IS, SV and UV: numbers; what a number would change stays text (F.2.3)."""
    return ",".join(_decimal(str(value).strip(" \0")) for value in values).encode("utf-8", "replace")


def numbers(values: Iterable[str | int | float]) -> bytes:
    """Write binary numbers; JSON has none that is infinite or none, so these are texts."""
    return ",".join(_binary(value) for value in values).encode()


def names(values: Iterable[str | int | float]) -> bytes:
    """Write person names: one member a component group that is not empty (F.2.2)."""
    return ",".join(_name(str(value)) for value in values).encode("utf-8", "replace")


def writer(vr: str) -> Write:
    """Return what writes the values of a VR that has values."""
    if vr == "PN":
        return names
    if vr in _DECIMAL:
        return decimals
    return numbers if vr in {"US", "SS", "UL", "SL", "FL", "FD"} else texts


def _decimal(text: str) -> str:
    if not text:
        return "null"
    plain = text.removeprefix("+")
    if (
        _NUMBER.fullmatch(plain)
        and sum(map(str.isdigit, plain)) <= _MOST_DIGITS
        and math.isfinite(float(plain))
    ):
        return plain
    return encode_basestring(text)


def _binary(value: str | float) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return f'"{"NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"}"'
    return repr(value) if not isinstance(value, str) else encode_basestring(value)


def _name(text: str) -> str:
    if not text:
        return "null"
    groups = zip(_GROUPS, text.split("=", 2), strict=False)
    return "{" + ",".join(f'"{name}":{encode_basestring(group)}' for name, group in groups if group) + "}"
