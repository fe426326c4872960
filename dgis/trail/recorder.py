"""What the trail is told of after its answer has left: admissions, stores, queries, transfers, refusals."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import sqlalchemy as sa
import structlog

from catalog.audit import trail
from catalog.audit.values import Event, Happening, Json, Outcome, encoded
from catalog.query import Query
from catalog.release import asked, named
from catalog.retrieve import InstanceRef
from deid.kinds import is_standard_class
from dgis.dimse import services
from dgis.dimse.endings import EndingKind
from dgis.dimse.services import Note, Session

_log = structlog.get_logger(__name__)

# Different happenings between two rounds of writing; beyond, a flood loses its details but not its count.
_MOST = 2_000
_MOST_NAMED = 200  # studies and patients of one entry
_SUCCESSES = frozenset({0x0000, 0xFE00})  # PS3.7 annex C: success, and a cancel that was asked for

Key = tuple[Event, str, Outcome, str]


class Recorder:
    """Gathers happenings; `write` adds them to the trail. Equal ones between two rounds become one, counted.

    Nothing waits for it, receiving least of all: what a crash loses of it is a second's worth of events that
    released nothing identifying (those are written by `catalog.release` before they leave).
    """

    def __init__(self, engine: sa.Engine, writer: str, clock_ms: Callable[[], int]) -> None:
        self._engine = engine
        self._writer = writer
        self._clock_ms = clock_ms
        self._lock = threading.Lock()
        self._counts: Counter[tuple[Key, str]] = Counter()
        self._kept: dict[tuple[Key, str], Happening] = {}

    def add(self, happening: Happening) -> None:
        """Take note of a happening."""
        key = (happening.event, happening.caller, happening.outcome, happening.address)
        with self._lock:
            same = (key, encoded(happening))
            if same not in self._kept and len(self._kept) >= _MOST:
                happening = replace(happening, caller="many", address="", patients=(), detail={})
                same = ((happening.event, "many", happening.outcome, ""), encoded(happening))
            self._kept.setdefault(same, happening)
            self._counts[same] += happening.count

    def write(self) -> None:
        """Write down what was gathered; what the database does not take is kept."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
            kept, self._kept = self._kept, {}
        happenings = [replace(happening, count=counts[same]) for same, happening in kept.items()]
        if not happenings:
            return
        try:
            with self._engine.begin() as connection:
                trail.append(connection, self._writer, happenings, self._clock_ms())
        except sa.exc.SQLAlchemyError as error:
            _log.warning("trail_waits", error=type(error).__name__)
            for happening in happenings:
                self.add(happening)


_EVENTS = {
    Note.ASSOCIATION_OPENED: Event.ASSOCIATION,
    Note.ASSOCIATION_REFUSED: Event.ASSOCIATION,
    Note.ASSOCIATION_ENDED: Event.ASSOCIATION,  # where it was not released
    Note.REQUEST_REFUSED: Event.REFUSAL,
    Note.STORE_REFUSED: Event.STORE,
    Note.QUERY_ENDED: Event.QUERY,
    Note.RETRIEVE_ENDED: Event.TRANSFER,
}


def happening_of(event: services.Event) -> Happening | None:
    """Return what the trail keeps of an event at the door; None where it keeps nothing."""
    kind = _EVENTS.get(event.note)
    if kind is None or _went_well(event):
        return None
    session = event.session
    good = event.note is Note.ASSOCIATION_OPENED or event.status in _SUCCESSES
    detail: dict[str, Json] = {name: count for name, count in event.counts.items() if count}
    if event.words:
        detail["words"] = event.words
    if event.status is not None:
        detail["status"] = f"0x{event.status:04X}"
    return Happening(
        kind,
        named(session.caller) if session else "",
        Outcome.SUCCESS if good else Outcome.MINOR_FAILURE,
        event.address,
        detail=detail,
    )


def with_asked(happening: Happening, query: Query, refs: Sequence[InstanceRef], receiver: str) -> Happening:
    """Add what was asked for, and of what is sent the patients, studies and SOP classes."""
    detail: dict[str, Json] = {**happening.detail, "query": asked(query)}
    if receiver:
        detail["receiver"] = receiver
    counts = Counter((ref.patient_key, ref.study_key, _said_of(ref.sop_class_uid)) for ref in refs)
    if counts:
        detail["studies"] = _studies(counts)
    patients = tuple(dict.fromkeys(patient for patient, _study, _class in counts))
    return replace(happening, patients=patients[:_MOST_NAMED], detail=detail)


def stored_by(session: Session, counts: Mapping[str, int]) -> Happening:
    """Return what the trail keeps of the instances that one association brought, counted by SOP class.

    Whose they are is said when they are published, by keys: UIDs as they came would outlive an erasure here.
    """
    said: Counter[str] = Counter()
    for sop_class, number in counts.items():
        said[_said_of(sop_class)] += number
    classes: dict[str, Json] = {**said}
    count = sum(counts.values())
    return Happening(
        Event.STORE,
        named(session.caller),
        address=session.address,
        count=count,
        detail={"classes": classes},
    )


def _said_of(sop_class: str) -> str:
    """Return a SOP class of the standard, "private" for others: whoever sends one makes up the number."""
    return sop_class if is_standard_class(sop_class) else "private"


def _studies(counts: Mapping[tuple[str, str, str], int]) -> list[Json]:
    """Gather counts by patient, study and SOP class into the studies of an entry."""
    studies: dict[tuple[str, str], dict[str, Json]] = {}
    for (patient, study, sop_class), count in counts.items():
        studies.setdefault((patient, study), {})[sop_class] = count
    listed: list[Json] = []
    for (patient, study), classes in list(studies.items())[:_MOST_NAMED]:
        listed.append({"patient": patient, "study": study, "classes": classes})
    return listed


def _went_well(event: services.Event) -> bool:
    """Whether an association ended as it should, or a connection before anything was said on it."""
    if event.note is not Note.ASSOCIATION_ENDED:
        return False
    how = event.words.partition(":")[0]
    return how == EndingKind.RELEASED.value or (event.session is None and how == EndingKind.CLOSED.value)
