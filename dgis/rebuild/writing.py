"""One part into the database, in one transaction: its rows, what is planned of them, and that it is done.

The commit of that transaction is the commit point of the part: a crash before it leaves the part to be read
again, a crash after it leaves it done.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa

from catalog.adopt import Adopted, AdoptedForm, AdoptedOriginal, AdoptedPart, adopt
from catalog.callers import Assertions
from catalog.contributors import PublisherGrant, ensure_contributors
from catalog.tables import DEID
from dgis import failpoints
from dgis.cache.sql import in_lists
from dgis.departed import notes
from dgis.departed.values import Departed, Why
from dgis.erasure import fence, intents
from dgis.merger.queue import note_merged
from dgis.publisher.about import Contribution
from dgis.publisher.labelling import code_of
from dgis.publisher.tables import publish_part
from dgis.rebuild.planned import settle_part
from dgis.rebuild.tables import rebuild_part
from dgis.rebuild.values import PartRead, Trouble
from dgis.review.tables import review_decision
from dgis.review.values import Choice
from replica.intent import label, supersede
from replica.rules import Labels
from replica.tables import replica_object
from storage_nodes.names import RecordKey

_WHOLE = frozenset({None, Trouble.ERASED, Trouble.NO_KEYS})
"""With these, all that nodes and keys can tell of a part was read."""
_UNKNOWN = "unknown-"  # before a published Patient ID, where nothing names the patient's key


@dataclass(frozen=True, slots=True)
class Writing:
    """Which database, what a publisher's contribution opens, and whose gateway does it."""

    engine: sa.Engine
    grant: PublisherGrant
    facility: str
    gateway_id: str


def write_part(writing: Writing, part: PartRead, now_ms: int) -> None:
    """Write what was read of a part, and that it is done."""
    with writing.engine.begin() as connection:
        part = _unless_erased(connection, part)
        if part.trouble not in _WHOLE and _older_live(connection, part):
            adopted = Adopted(0, 0, 0, (), ())  # what it took the place of is still there, and is taken
        elif part.forms or part.originals:
            part = _with_contribution(connection, writing, part)
            adopted = _adopt(connection, writing, part, now_ms)
            label(connection, RecordKey(part.record_key), _labels(part))
            if part.supersedes:
                _take_place(connection, part, now_ms)
            settle_part(connection, writing.gateway_id, part, adopted, now_ms)
        else:
            adopted = Adopted(0, 0, 0, (), ())
        trouble = part.trouble or (Trouble.CONFLICT if adopted.conflicts else None)
        connection.execute(
            sa.update(rebuild_part)
            .where(rebuild_part.c.record_key == part.record_key)
            .values(done=True, forms=adopted.forms, originals=adopted.originals, trouble=trouble)
        )
        failpoints.hit("rebuild.before_commit")
    failpoints.hit("rebuild.after_commit")


def _older_live(connection: sa.Connection, part: PartRead) -> bool:
    """Whether the index has objects of parts whose place this one took."""
    for some in in_lists(sorted(part.supersedes)):
        older = sa.select(replica_object.c.id).where(
            replica_object.c.record_key.in_(some),
            replica_object.c.committed_ms.is_not(None),
            replica_object.c.superseded_ms.is_(None),
        )
        if connection.execute(older.limit(1)).first() is not None:
            return True
    return False


def _take_place(connection: sa.Connection, part: PartRead, now_ms: int) -> None:
    """Retire the parts whose place a part took."""
    older = sorted(part.supersedes)
    note_merged(connection, older, part.record_key, now_ms)
    supersede(connection, map(RecordKey, older), now_ms)
    for some in in_lists(older):
        connection.execute(sa.delete(publish_part).where(publish_part.c.record_key.in_(some)))


def _unless_erased(connection: sa.Connection, part: PartRead) -> PartRead:
    """Leave out originals that an erasure means; the fence is held until the transaction ends."""
    if part.originals is None:
        return part
    if not fence.may_publish(connection, part.patient_key, part.key_name, ()):
        return replace(part, originals=None, trouble=Trouble.ERASED)
    until_ms = max(
        (each.requested_ms for each in intents.of_patient(connection, part.patient_key)), default=0
    )
    kept = tuple(each for each in part.originals if each.received_ms > until_ms)
    return part if len(kept) == len(part.originals) else replace(part, originals=kept or None)


def _with_contribution(connection: sa.Connection, writing: Writing, part: PartRead) -> PartRead:
    """Fill in what nobody told: whose the part is, by the rows that are there, else nobody's."""
    patient_key = part.patient_key or _patient_known(connection, part)
    if part.contribution is not None:
        return replace(part, patient_key=patient_key)
    nobody = Contribution(writing.facility, Assertions())
    trouble = part.trouble if part.trouble not in {None, Trouble.ERASED} else Trouble.UNKNOWN_CONTRIBUTOR
    return replace(part, patient_key=patient_key, contribution=nobody, trouble=trouble)


def _patient_known(connection: sa.Connection, part: PartRead) -> str:
    published = str(part.forms[0].attributes.patient["patient_id"]) if part.forms else part.record_key
    known = sa.select(DEID.patient.c.patient_key).where(DEID.patient.c.patient_id == published)
    return connection.execute(known.limit(1)).scalar_one_or_none() or f"{_UNKNOWN}{published.lower()}"


def _adopt(connection: sa.Connection, writing: Writing, part: PartRead, now_ms: int) -> Adopted:
    by = part.contribution
    assert by is not None, "it was filled in"
    originals = _in_order(part.originals or ())
    first_ms = min((each.received_ms for each in originals), default=part.planned_ms)
    key = (by.facility, by.assertions)
    contributor_id = ensure_contributors(connection, {key}, writing.grant, first_ms)[key]
    gone = notes.known(connection, [part.record_key, *sorted(part.supersedes)])
    here = [each for each in gone if each.record_key == part.record_key]
    return adopt(
        connection,
        AdoptedPart(
            record_key=part.record_key,
            contributor_id=contributor_id,
            patient_key=part.patient_key,
            study_key=part.study_key,
            series_key=part.series_key,
            published_ms=min(now_ms, part.planned_ms),
            forms=part.forms,
            originals=originals,
            decided=part.decided,
            hidden=_keys(here, Why.WITHDRAWN) | _withdrawn(connection, part),
            gone=_keys(here, Why.REPLACED) | _keys(here, Why.REMOVED),
            superseded=part.supersedes,
            stale=_stale(connection, originals),
            originals_known=part.trouble is None and part.originals is not None,
        ),
    )


def _labels(part: PartRead) -> Labels:
    """Return what rules of placement look at."""
    assert part.contribution is not None, "it was filled in"
    images: list[AdoptedForm | AdoptedOriginal] = [*part.forms, *(part.originals or ())]
    modality = images[0].attributes.series.get("modality")
    return Labels(part.contribution.facility, code_of(str(modality or "")))


def _in_order(originals: Sequence[AdoptedOriginal]) -> list[AdoptedOriginal]:
    """Put originals into the order of their receipt: what a row above says first stays."""
    return sorted(originals, key=lambda each: each.received_ms)


def _keys(gone: Sequence[Departed], why: Why) -> frozenset[str]:
    return frozenset(each.instance_key for each in gone if each.why is why)


def _stale(connection: sa.Connection, originals: Sequence[AdoptedOriginal]) -> frozenset[tuple[str, str]]:
    keys = [each.instance_key for each in originals]
    return frozenset(
        (each.record_key, each.instance_key) for each in notes.of_instances(connection, keys, Why.REPLACED)
    )


def _withdrawn(connection: sa.Connection, part: PartRead) -> frozenset[str]:
    """Read the log of reviews: what was withdrawn after this part was made, and by its last decision."""
    decision = review_decision.c
    last: dict[str, tuple[str, int]] = {}
    for some in in_lists([each.instance_key for each in part.forms]):
        said = sa.select(decision.instance_key, decision.choice, decision.at_ms).where(
            decision.instance_key.in_(some)
        )
        for row in connection.execute(said.order_by(decision.id)):
            last[row.instance_key] = (row.choice, row.at_ms)
    return frozenset(
        key for key, (choice, at_ms) in last.items() if choice == Choice.WITHDRAW and at_ms >= part.planned_ms
    )
