"""Matches as DICOM JSON (PS3.18 F) or XML (PS3.19 A.1), written by hand: a thousand are asked for at once."""

from collections.abc import Iterable, Mapping

from pydicom.datadict import tag_for_keyword

from catalog.attributes import ATTRIBUTES, UNIQUE_KEYS
from catalog.query import Level
from dgis.dicomweb import json_model, xml_model

Value = str | int | tuple[str, ...]
Values = Mapping[str, Value]

_PATH = ("/studies/", "/series/", "/instances/")
_LEVELS = (Level.STUDY, Level.SERIES, Level.IMAGE)
_ONLINE = "ONLINE"  # what is found can be had at once, from the cache or from the nodes
_DOORS_OWN = {"SpecificCharacterSet": "CS", "InstanceAvailability": "CS", "RetrieveURL": "UR"}


class MatchWriter:
    """Writes the matches of one search; all that does not change from one to the next is prepared once."""

    def __init__(self, keywords: Iterable[str], level: Level, base: str) -> None:
        self._base = base
        self._uids = [UNIQUE_KEYS[each] for each in _LEVELS if each.depth <= level.depth]
        rows = [(ATTRIBUTES[keyword].tag, keyword, ATTRIBUTES[keyword].vr) for keyword in keywords]
        rows += [(tag_for_keyword(keyword) or 0, keyword, vr) for keyword, vr in _DOORS_OWN.items()]
        self._rows = sorted(rows)
        self._json = [
            (keyword, f'"{tag:08X}":{{"vr":"{vr}"'.encode(), json_model.writer(vr))
            for tag, keyword, vr in self._rows
        ]

    def json(self, values: Values) -> bytes:
        """Return one match as an object."""
        own = self._own(values)
        parts: list[bytes] = []
        for keyword, start, write in self._json:
            value = values.get(keyword) if keyword not in own else own[keyword]
            listed = _listed(value)
            parts.append(start + b',"Value":[' + write(listed) + b"]}" if listed else start + b"}")
        return b"{" + b",".join(parts) + b"}"

    def xml(self, values: Values) -> bytes:
        """Return one match as a document."""
        known = {**values, **self._own(values)}
        return xml_model.document(
            xml_model.attribute(tag, vr, keyword, _texts(known.get(keyword)))
            for tag, keyword, vr in self._rows
        )

    def _own(self, values: Values) -> dict[str, Value]:
        uids = [values.get(keyword) for keyword in self._uids]
        url = self._base + "".join(f"{step}{each}" for step, each in zip(_PATH, uids, strict=False))
        return {"SpecificCharacterSet": "ISO_IR 192", "InstanceAvailability": _ONLINE, "RetrieveURL": url}


def _listed(value: Value | None) -> tuple[str | int, ...]:
    if value is None or value in {"", ()}:
        return ()
    return value if isinstance(value, tuple) else (value,)


def _texts(value: Value | None) -> tuple[str, ...]:
    return tuple(str(each) for each in _listed(value))
