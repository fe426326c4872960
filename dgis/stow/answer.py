"""The answer to a store request: the Store Instances Response (PS3.18 10.5.3 and Annex I), JSON or XML."""

import json
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from urllib.parse import quote
from xml.sax.saxutils import escape

from dgis.dimse.status import Status
from dgis.stow.outcomes import Failed, Kept, Outcome

JSON, XML = "application/dicom+json", "application/dicom+xml"

_AGAIN = frozenset({Status.OUT_OF_RESOURCES, Status.PROCESSING_FAILURE})
Value = str | int | list["DataSet"]
DataSet = dict[str, Value]

# Tag and VR of every attribute of the response (PS3.18 Table I.2-1 and the macros it includes).
_ATTRIBUTES = {
    "ReferencedSOPClassUID": ("00081150", "UI"),
    "ReferencedSOPInstanceUID": ("00081155", "UI"),
    "RetrieveURL": ("00081190", "UR"),
    "FailureReason": ("00081197", "US"),
    "FailedSOPSequence": ("00081198", "SQ"),
    "ReferencedSOPSequence": ("00081199", "SQ"),
    "OtherFailuresSequence": ("0008119A", "SQ"),
}


def status_of(outcomes: Sequence[Outcome]) -> HTTPStatus:
    """Return the status of the answer (PS3.18 Table 10.5.3-1): of all, of some, or of none that was kept."""
    failed = [each for each in outcomes if isinstance(each, Failed)]
    if not failed:
        return HTTPStatus.OK
    if len(failed) < len(outcomes):
        return HTTPStatus.ACCEPTED
    again = all(each.refusal.status in _AGAIN for each in failed)
    return HTTPStatus.SERVICE_UNAVAILABLE if again else HTTPStatus.CONFLICT


def response(outcomes: Sequence[Outcome], base_url: str) -> DataSet:
    """Return the response; `base_url` is that of the DICOMweb service, without a slash at its end."""
    kept = [each for each in outcomes if isinstance(each, Kept)]
    failed = [each for each in outcomes if isinstance(each, Failed)]
    studies = {each.study_uid for each in kept}
    said: DataSet = {}
    if len(studies) == 1:
        said["RetrieveURL"] = f"{base_url}/studies/{quote(studies.pop())}"
    named = [_failure(each) for each in failed if each.sop_instance_uid]
    others: list[DataSet] = [
        {"FailureReason": int(each.refusal.status)} for each in failed if not each.sop_instance_uid
    ]
    sequences = {
        "FailedSOPSequence": named,
        "ReferencedSOPSequence": [_reference(each, base_url) for each in kept],
        "OtherFailuresSequence": others,
    }
    return said | {name: items for name, items in sequences.items() if items}


def as_json(said: DataSet) -> bytes:
    """Write a data set in the DICOM JSON Model (PS3.18 Annex F)."""
    return json.dumps(_json(said), separators=(",", ":")).encode()


def as_xml(said: DataSet) -> bytes:
    """Write a data set in the Native DICOM Model (PS3.19 A.1)."""
    inside = "".join(_xml(said))
    return f'<?xml version="1.0" encoding="UTF-8"?><NativeDicomModel>{inside}</NativeDicomModel>'.encode()


def wanted(accept: str) -> str | None:
    """Return which of the two an Accept field asks for, JSON where it leaves the choice; None: neither."""
    asked = {name: quality for name, quality in map(_ranked, accept.split(",")) if name}
    if not asked:
        return JSON
    wild = max(asked.get("*/*", 0.0), asked.get("application/*", 0.0))
    json_quality = max(asked.get(JSON, wild), asked.get("application/json", 0.0))
    xml_quality = max(asked.get(XML, wild), asked.get("application/xml", 0.0))
    if max(json_quality, xml_quality) <= 0:
        return None
    return XML if xml_quality > json_quality else JSON


def _ranked(one: str) -> tuple[str, float]:
    name, *parameters = (part.strip().lower() for part in one.split(";"))
    quality = next((each[2:] for each in parameters if each.startswith("q=")), "1")
    try:
        return name, float(quality)
    except ValueError:
        return name, 0.0


def _reference(kept: Kept, base_url: str) -> DataSet:
    path = "/".join(
        f"{level}/{quote(uid)}"
        for level, uid in (
            ("studies", kept.study_uid),
            ("series", kept.series_uid),
            ("instances", kept.sop_instance_uid),
        )
    )
    return {
        "ReferencedSOPClassUID": kept.sop_class_uid,
        "ReferencedSOPInstanceUID": kept.sop_instance_uid,
        "RetrieveURL": f"{base_url}/{path}",
    }


def _failure(failed: Failed) -> DataSet:
    named: DataSet = {"ReferencedSOPClassUID": failed.sop_class_uid} if failed.sop_class_uid else {}
    return named | {
        "ReferencedSOPInstanceUID": failed.sop_instance_uid,
        "FailureReason": int(failed.refusal.status),
    }


def _sorted(said: DataSet) -> Iterable[tuple[str, str, str, Value]]:
    """Yield tag, VR, keyword and value, in the order of tags."""
    return sorted((*_ATTRIBUTES[name], name, value) for name, value in said.items())


def _json(said: DataSet) -> dict[str, object]:
    return {
        tag: {"vr": vr, "Value": [_json(item) for item in value] if isinstance(value, list) else [value]}
        for tag, vr, _name, value in _sorted(said)
    }


def _xml(said: DataSet) -> Iterable[str]:
    for tag, vr, name, value in _sorted(said):
        yield f'<DicomAttribute tag="{tag}" vr="{vr}" keyword="{name}">'
        if isinstance(value, list):
            for number, item in enumerate(value, 1):
                yield f'<Item number="{number}">'
                yield from _xml(item)
                yield "</Item>"
        else:
            yield f'<Value number="1">{escape(str(value))}</Value>'
        yield "</DicomAttribute>"
