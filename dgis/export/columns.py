"""What the export's tables hold: a column an attribute, typed by its value representation."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Any

from catalog.attributes import ATTRIBUTES, UNIQUE_KEYS, Attribute
from catalog.query import Level

TABLES: Mapping[Level, str] = {
    Level.PATIENT: "patients",
    Level.STUDY: "studies",
    Level.SERIES: "series",
    Level.IMAGE: "instances",
}


class Kind(Enum):
    """Types of columns, by their names in Arrow."""

    TEXT = "string"
    WHOLE = "int64"
    DAY = "date32"
    TEXTS = "list<string>"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: a DICOM keyword, its tag and type."""

    keyword: str
    tag: str
    kind: Kind

    def value(self, found: Any) -> Any:  # noqa: ANN401 (text, number, several texts)
        """Return a catalog value as the column has it; None where it is unknown, or no value of its type."""
        if found in ("", None):
            return None
        if self.kind is Kind.TEXTS:
            return [str(each) for each in found] if isinstance(found, tuple) else [str(found)]
        if self.kind is Kind.WHOLE:
            return int(found)
        if self.kind is Kind.DAY:
            try:
                return date.fromisoformat(f"{found[:4]}-{found[4:6]}-{found[6:8]}")
            except ValueError:
                return None
        return str(found)


def columns(level: Level) -> tuple[Column, ...]:
    """Return the columns of a level's table: the unique keys from the patient down, then its own."""
    keys = [ATTRIBUTES[UNIQUE_KEYS[each]] for each in Level if each.depth <= level.depth]
    own = [each for each in ATTRIBUTES.values() if each.level is level and each not in keys]
    return tuple(
        Column(each.keyword, f"({each.tag >> 16:04X},{each.tag & 0xFFFF:04X})", _kind(each))
        for each in (*keys, *own)
    )


def _kind(attribute: Attribute) -> Kind:
    if attribute.multiple:
        return Kind.TEXTS
    if attribute.number or attribute.keyword.startswith("NumberOf"):
        return Kind.WHOLE
    return Kind.DAY if attribute.vr == "DA" else Kind.TEXT
