"""What the DICOM door reports, as figures; one table, a row for each kind of report."""

from collections.abc import Callable, Mapping

from prometheus_client import Counter

from dgis.dimse.endings import EndingKind
from dgis.dimse.pdu import REJECTIONS
from dgis.dimse.services import Event, Note
from dgis.dimse.status import Status
from dgis.watch import figures

_STATUSES = frozenset(map(int, Status))
_REASONS = frozenset(rejection.words for rejection in REJECTIONS)
_ENDINGS = frozenset(kind.value for kind in EndingKind)


for _each in _STATUSES:  # a figure that is not there yet cannot be seen to rise
    figures.INSTANCES.labels(f"0x{_each:04X}")
for _words in _REASONS:
    figures.REFUSED.labels(_words)

_KEPT = figures.INSTANCES.labels(f"0x{int(Status.SUCCESS):04X}")


def kept(size_bytes: int) -> None:
    """Count an instance that is durable and is answered with success."""
    _KEPT.inc()
    figures.RECEIVED_BYTES.inc(size_bytes)


def noted(event: Event) -> None:
    """Count an event."""
    counter, label = _COUNTED[event.note]
    (counter if label is None else counter.labels(label(event))).inc()


def _hexadecimal(status: int) -> str:
    return f"0x{status:04X}"


def _status(event: Event) -> str:
    return _hexadecimal(event.status) if event.status in _STATUSES else figures.OTHER


def _reason(event: Event) -> str:
    return event.rejection if event.rejection in _REASONS else figures.OTHER


def _how(event: Event) -> str:
    words = event.words.partition(":")[0]
    return words if words in _ENDINGS else figures.OTHER


_COUNTED: Mapping[Note, tuple[Counter, Callable[[Event], str] | None]] = {
    Note.ASSOCIATION_OPENED: (figures.OPENED, None),
    Note.ASSOCIATION_REFUSED: (figures.REFUSED, _reason),
    Note.ASSOCIATION_ENDED: (figures.ENDED, _how),
    Note.REQUEST_REFUSED: (figures.REQUESTS_REFUSED, _status),
    Note.STORE_REFUSED: (figures.INSTANCES, _status),
    Note.QUERY_ENDED: (figures.QUERIES, _status),
    Note.RETRIEVE_ENDED: (figures.RETRIEVES, _status),
}
