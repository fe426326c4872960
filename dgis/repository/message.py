"""Audit messages of DICOM PS3.15 A.5, made from entries of the trail alone: same entry, same bytes.

Patients and studies are named as the trail names them, by their keys. What was asked for goes along, original
values among it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

from lxml import etree

from catalog.audit.seal import SealedHead
from catalog.audit.values import Entry, Happening, Json, Outcome
from dgis.repository import asked, codes, elements
from dgis.repository.elements import Actor, Element, Subject
from dgis.repository.kinds import ONE_PATIENT, Kind, Shape, kind_of

_SYSTEM, _PERSON = "2", "1"  # ParticipantObjectTypeCode
_PATIENT, _REPORT, _SECURITY_RESOURCE = "1", "3", "13"  # ParticipantObjectTypeCodeRole
_ACCESS, _ERASURE = "6", "15"  # ParticipantObjectDataLifeCycle
_APPLICATION_SERVER = "4"  # AuditSourceTypeCode
_MOST_STUDIES = 20  # of one message; the trail has them all


@dataclass(frozen=True, slots=True)
class Source:
    """The gateway that reports: its machine, its site, its AE title."""

    host: str
    site: str
    ae_title: str


@dataclass(frozen=True, slots=True)
class _Report:
    """What one message is made of; `patient` is the one it may speak of, or None for all of the entry."""

    source: Source
    entry: Entry
    kind: Kind
    patient: str | None = None

    @property
    def happening(self) -> Happening:
        return self.entry.happening

    @property
    def detail(self) -> dict[str, Json]:
        return dict(self.happening.detail)

    def patients(self) -> tuple[str, ...]:
        return self.happening.patients if self.patient is None else (self.patient,)


def messages(source: Source, entry: Entry) -> Iterator[bytes]:
    """Yield the messages of an entry: one, but one a patient where the standard allows no more."""
    kind = kind_of(entry.happening)
    patients = entry.happening.patients
    if kind.shape in ONE_PATIENT and len(patients) > 1:
        for patient in patients:
            yield _message(_Report(source, entry, kind, patient))
    else:
        yield _message(_Report(source, entry, kind))


def head_message(source: Source, sealed: SealedHead, document: bytes) -> bytes:
    """Return a signed head of a trail as a message, so that the repository can contradict a changed trail."""
    root = etree.Element("AuditMessage")
    _event(root, Kind(codes.TRAIL_HEAD, "E", Shape.ALERT), sealed.at_ms, Outcome.SUCCESS)
    _gateway(root, source, sealed.head.writer, requestor=True)
    _reported_by(root, source, sealed.head.writer)
    added = _trail_object(root, sealed.head.writer, sealed.head.number)
    elements.detail(added, "document", document)
    return elements.written(root)


def _message(report: _Report) -> bytes:
    root = etree.Element("AuditMessage")
    happening = report.happening
    event = _event(root, report.kind, report.entry.at_ms, happening.outcome)
    words = report.detail.get("words") or report.detail.get("reason")
    if happening.outcome is not Outcome.SUCCESS and isinstance(words, str):
        etree.SubElement(event, "EventOutcomeDescription").text = elements.clean(words)
    _PARTICIPANTS[report.kind.shape](root, report)
    _reported_by(root, report.source, report.entry.writer)
    if report.kind.shape is Shape.QUERY:
        _queried(root, report)
    for study, counts in _studies(report):
        _study(root, study, counts, report.kind)
    for patient in report.patients():
        _patient(root, patient, report.kind)
    if report.kind.shape is Shape.ALERT:
        _alert_subject(root, report)
    _trail_entry(root, report)
    return elements.written(root)


def _event(root: Element, kind: Kind, at_ms: int, outcome: Outcome) -> Element:
    moment = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
    values = {
        "EventActionCode": kind.action,
        "EventDateTime": moment.replace("+00:00", "Z"),
        "EventOutcomeIndicator": str(int(outcome)),
    }
    event = etree.SubElement(root, "EventIdentification", values)
    elements.coded(event, "EventID", kind.event)
    if kind.type is not None:
        elements.coded(event, "EventTypeCode", kind.type)
    return event


def _reported_by(root: Element, source: Source, writer: str) -> None:
    values = {"AuditEnterpriseSiteID": elements.clean(source.site), "AuditSourceID": elements.clean(writer)}
    added = etree.SubElement(root, "AuditSourceIdentification", values)
    etree.SubElement(added, "AuditSourceTypeCode", {"csd-code": _APPLICATION_SERVER})


def _gateway(
    root: Element, source: Source, writer: str, *, role: codes.Code | None = None, requestor: bool = False
) -> None:
    elements.participant(root, Actor(writer, requestor, role, source.host, source.ae_title))


def _caller(
    root: Element, report: _Report, *, role: codes.Code | None = None, requestor: bool = True
) -> None:
    happening = report.happening
    user = happening.caller or happening.address
    elements.participant(root, Actor(user, requestor, role, happening.address))


def _application(root: Element, report: _Report) -> None:
    _gateway(root, report.source, report.entry.writer, role=codes.APPLICATION)
    if report.happening.caller:
        _caller(root, report, role=codes.LAUNCHER)


def _used(root: Element, report: _Report) -> None:
    _caller(root, report)
    if report.kind.shape is not Shape.LOG_USED:
        _gateway(root, report.source, report.entry.writer)


def _received(root: Element, report: _Report) -> None:
    _caller(root, report, role=codes.SOURCE)
    _gateway(root, report.source, report.entry.writer, role=codes.DESTINATION)


def _sent(root: Element, report: _Report) -> None:
    _gateway(root, report.source, report.entry.writer, role=codes.SOURCE)
    receiver = report.detail.get("receiver")
    if isinstance(receiver, str):
        elements.participant(root, Actor(receiver, requestor=False, role=codes.DESTINATION))
        _caller(root, report)
    else:
        _caller(root, report, role=codes.DESTINATION)


def _exported(root: Element, report: _Report) -> None:
    _gateway(root, report.source, report.entry.writer, role=codes.SOURCE, requestor=True)
    nodes = Actor("storage nodes", requestor=False, role=codes.DESTINATION_MEDIA)
    media = elements.participant(root, nodes)
    elements.coded(etree.SubElement(media, "MediaIdentifier"), "MediaType", codes.MEDIA_URI)


def _alerted(root: Element, report: _Report) -> None:
    _gateway(root, report.source, report.entry.writer, requestor=True)
    if report.happening.caller or report.happening.address:
        _caller(root, report, requestor=False)


_PARTICIPANTS: MappingProxyType[Shape, Callable[[Element, _Report], None]] = MappingProxyType(
    {
        Shape.APPLICATION: _application,
        Shape.LOG_USED: _used,
        Shape.BEGIN: _sent,
        Shape.EXPORT: _exported,
        Shape.ACCESS: _used,
        Shape.SENT: _sent,
        Shape.RECEIVED: _received,
        Shape.DELETED: _used,
        Shape.QUERY: _received,
        Shape.ALERT: _alerted,
        Shape.LOGIN: _used,
    }
)


def _queried(root: Element, report: _Report) -> None:
    query = report.detail.get("query")
    stated = query if isinstance(query, dict) else {}
    sop_class = asked.FIND_CLASSES.get(str(stated.get("root")), asked.FIND_CLASSES["study"])
    added = elements.subject(root, Subject(codes.SOP_CLASS_UID, sop_class, _SYSTEM, _REPORT))
    elements.query(added, asked.data_set(stated))
    elements.detail(added, "TransferSyntax", asked.TRANSFER_SYNTAX.encode())


def _studies(report: _Report) -> Iterator[tuple[str, dict[str, int]]]:
    """Yield the studies a message names, with the counts of their SOP classes where they are known."""
    listed = report.detail.get("studies")
    stated = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    wanted = [each for each in stated if report.patient is None or each.get("patient") == report.patient]
    for each in wanted[:_MOST_STUDIES]:
        counts = each.get("classes")
        known = counts if isinstance(counts, dict) else {}
        yield str(each.get("study")), {uid: n for uid, n in known.items() if isinstance(n, int)}


def _study(root: Element, study: str, counts: dict[str, int], kind: Kind) -> None:
    cycle = _ERASURE if kind.shape is Shape.DELETED else _ACCESS
    added = elements.subject(root, Subject(codes.STUDY_UID, study, _SYSTEM, _REPORT, cycle))
    elements.named(added, "-")
    if counts:
        elements.classes(added, counts)


def _patient(root: Element, patient: str, kind: Kind) -> None:
    cycle = _ERASURE if kind.shape is Shape.DELETED else _ACCESS
    added = elements.subject(root, Subject(codes.PATIENT_NUMBER, patient, _PERSON, _PATIENT, cycle))
    elements.named(added, "-")


def _alert_subject(root: Element, report: _Report) -> None:
    added = elements.subject(root, Subject(codes.NODE_ID, report.source.host, _SYSTEM, _SECURITY_RESOURCE))
    elements.named(added, report.happening.event.value)
    words = report.detail.get("words") or report.detail.get("what") or report.happening.event.value
    elements.detail(added, "Alert Description", elements.clean(str(words)).encode("utf-8", "replace"))


def _trail_entry(root: Element, report: _Report) -> None:
    """Name the entry of the trail and its digest: what is missing here, or differs there, shows."""
    added = _trail_object(root, report.entry.writer, report.entry.number)
    told = {name: value for name, value in report.detail.items() if name not in {"query", "studies"}}
    elements.detail(added, "digest", report.entry.digest.hex().encode())
    elements.detail(added, "count", str(report.happening.count).encode())
    elements.details(added, told)


def _trail_object(root: Element, writer: str, number: int) -> Element:
    name = f"audit:{writer}/{number}"
    added = elements.subject(root, Subject(codes.URI, name, _SYSTEM, _SECURITY_RESOURCE))
    elements.named(added, "Security Audit Log")
    return added
