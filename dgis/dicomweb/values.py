"""The value of an element as a header holds it, taken apart (PS3.5 6.2)."""

from struct import Struct

from catalog.charset import Encodings, decode

Value = str | int | float

BINARY = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_NUMBERS = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d", "SV": "q", "UV": "Q"}
_PROSE = frozenset({"LT", "ST", "UT", "UR"})  # one value each: a backslash in them is a character
_ENCODED = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})  # by Specific Character Set
_PADDING = " \0"


def values(raw: bytes, vr: str, encodings: Encodings, order: str) -> list[Value]:
    """Return the values; `order` is the byte order as `struct` writes it. What is cut short is left out."""
    number = _NUMBERS.get(vr)
    if number is not None:
        form = Struct(order + number)
        return [value for (value,) in form.iter_unpack(raw[: len(raw) - len(raw) % form.size])]
    if vr == "AT":
        pair = Struct(order + "HH")
        return [f"{group:04X}{element:04X}" for group, element in pair.iter_unpack(raw[: len(raw) & ~3])]
    text = decode(raw, encodings) if vr in _ENCODED else raw.decode("latin-1")
    listed = [text.rstrip(_PADDING)] if vr in _PROSE else [each.strip(_PADDING) for each in text.split("\\")]
    return list(listed) if any(listed) else []
