"""The elements of an audit message (DICOM PS3.15 A.5.1), each written in one way only."""

import base64
import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from lxml import etree

from catalog.audit.values import Json
from dgis.repository.codes import Code

Element = etree._Element  # noqa: SLF001 (the only name its stubs have for it)

_DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>'
_SPACE = re.compile("[\t\n\r]")
# XML 1.0, 2.2; the control characters it allows are left out as well.
_NOT_XML = re.compile("[^ -~\u00a0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LONGEST_VALUE = 512  # characters of a text, bytes of a detail
_DETAIL_BYTES = 4096  # of all details of a message
_MACHINE_NAME, _IP_ADDRESS = "1", "2"


def clean(text: str) -> str:
    """Return text that XML can hold, cut to a length that no message suffers from."""
    return _NOT_XML.sub("\ufffd", _SPACE.sub(" ", text))[:_LONGEST_VALUE]


def coded(parent: Element, name: str, code: Code) -> Element:
    """Add an element of CodedValueType."""
    values = {"csd-code": code.value, "codeSystemName": code.scheme, "originalText": code.meaning}
    return etree.SubElement(parent, name, values)


@dataclass(frozen=True, slots=True)
class Actor:
    """An ActiveParticipant; `place` is an address or the name of a machine, `titles` its AE titles."""

    user: str
    requestor: bool
    role: Code | None = None
    place: str = ""
    titles: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is acted on, named by an identifier of some type: PS3.15 A.5.1.2 has the codes of its fields."""

    code: Code
    name: str
    kind: str
    role: str
    cycle: str = ""


def participant(message: Element, actor: Actor) -> Element:
    """Add an ActiveParticipant."""
    values = {"UserID": clean(actor.user) or "unknown"}
    if actor.titles:
        values["AlternativeUserID"] = f"AETITLES={clean(actor.titles)}"  # PS3.15 A.5.2.2
    values["UserIsRequestor"] = "true" if actor.requestor else "false"
    if actor.place:
        values["NetworkAccessPointID"] = clean(actor.place)
        values["NetworkAccessPointTypeCode"] = _IP_ADDRESS if _is_address(actor.place) else _MACHINE_NAME
    added = etree.SubElement(message, "ActiveParticipant", values)
    if actor.role is not None:
        coded(added, "RoleIDCode", actor.role)
    return added


def subject(message: Element, about: Subject) -> Element:
    """Add a ParticipantObjectIdentification; a name or a query must follow."""
    values = {
        "ParticipantObjectID": clean(about.name) or "unknown",
        "ParticipantObjectTypeCode": about.kind,
        "ParticipantObjectTypeCodeRole": about.role,
    }
    if about.cycle:
        values["ParticipantObjectDataLifeCycle"] = about.cycle
    added = etree.SubElement(message, "ParticipantObjectIdentification", values)
    coded(added, "ParticipantObjectIDTypeCode", about.code)
    return added


def named(added: Element, text: str) -> None:
    """Add ParticipantObjectName, which every object without a query has."""
    etree.SubElement(added, "ParticipantObjectName").text = clean(text)


def query(added: Element, data_set: bytes) -> None:
    """Add ParticipantObjectQuery, which stands in place of a name."""
    etree.SubElement(added, "ParticipantObjectQuery").text = base64.b64encode(data_set).decode("ascii")


def details(added: Element, values: Mapping[str, Json]) -> None:
    """Add ParticipantObjectDetail elements, in the order of their names; what is no text goes as JSON.

    What finds no room is counted in `left_out`; the trail has it.
    """
    room, left_out = _DETAIL_BYTES, 0
    for name in sorted(values):
        value = values[name]
        text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
        raw = text.encode("utf-8", "replace")[:_LONGEST_VALUE]
        room -= len(name) + len(raw)
        if room < 0:
            left_out += 1
        else:
            detail(added, name, raw)
    if left_out:
        detail(added, "left_out", str(left_out).encode())


def detail(added: Element, name: str, value: bytes) -> None:
    """Add one ParticipantObjectDetail; values go in base64, so that they are never taken for XML."""
    values = {"type": clean(name), "value": base64.b64encode(value).decode("ascii")}
    etree.SubElement(added, "ParticipantObjectDetail", values)


def classes(added: Element, counts: Mapping[str, int]) -> None:
    """Describe a study by the SOP classes of its instances that this is about."""
    description = etree.SubElement(added, "ParticipantObjectDescription")
    for uid in sorted(counts):
        values = {"UID": clean(uid), "NumberOfInstances": str(counts[uid])}
        etree.SubElement(description, "SOPClass", values)


def written(message: Element) -> bytes:
    """Return the document as UTF-8, in one line: syslog receivers rewrite control characters."""
    return _DECLARATION + etree.tostring(message, encoding="UTF-8", xml_declaration=False)


def _is_address(place: str) -> bool:
    try:
        ipaddress.ip_address(place)
    except ValueError:
        return False
    return True
