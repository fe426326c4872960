import re

from deid.cleaning import Cleaning
from deid.csa import csa_numbers
from deid.tables.loader import safe_private
from deid.values import little_endian, plain_text

_NUMBERS = frozenset({"DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV"})


class SafePrivate:
    """Lets through what the list of safe private attributes names (PS3.15 E.3.10), value by value."""

    def __init__(self, cleaning: Cleaning) -> None:
        """Take what tests values by their VR."""
        self._cleaning = cleaning
        self._rows = safe_private()

    def kept(
        self, creator: str, tag: int, written: str, raw: bytes, *, swapped: bool
    ) -> tuple[str, bytes] | None:
        """Return VR and value of a private element that may stay; None where it may not.

        `written` is the VR in the stream, UN where there is none; `swapped` says that words are big endian.
        """
        row = self._rows.get((creator, tag >> 16, tag & 0xFF))
        if row is None:
            return None
        vr = row.vr if written == "UN" else written
        if vr != row.vr and not (vr in _NUMBERS and row.vr in _NUMBERS):
            return None
        if row.is_csa:
            kept = csa_numbers(raw)
        elif row.form is not None:
            kept = _formed(raw, row.form)
        else:
            kept = self._cleaning.safe(
                tag, vr, little_endian(vr, raw) if swapped and written != "UN" else raw
            )
        return None if kept is None else (vr, kept)


def _formed(raw: bytes, form: re.Pattern[str]) -> bytes | None:
    """Return text whose every value has a form, or is empty."""
    text = plain_text(raw)
    if text is None:
        return None
    values = [one.strip() for one in text.split("\\")]
    return (
        "\\".join(values).encode("ascii") if all(not one or form.fullmatch(one) for one in values) else None
    )
