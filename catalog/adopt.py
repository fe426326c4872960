"""The rows of a part as the nodes tell them, written into a database that lacks them.

What the database has and the part does not contradict stays as it is. Run inside the caller's transaction,
whose commit makes the part real; doing it again changes nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select, update

from catalog.extract import Attributes
from catalog.remove import recount, remove_instance, withdraw_published
from catalog.rows import Entry, write
from catalog.sql import OneOf, json_list
from catalog.tables import DEID, PHI
from deid.outcome import WithheldReason

_WITHDRAWN = WithheldReason.WITHDRAWN.value


@dataclass(frozen=True, slots=True)
class AdoptedForm:
    """One instance in its de-identified form; its SOP Instance UID is the key of the instance."""

    position: int
    attributes: Attributes = field(repr=False)
    transfer_syntax: str
    size_bytes: int

    @property
    def instance_key(self) -> str:
        """The pseudonym of its original."""
        return self.attributes.sop_instance_uid


@dataclass(frozen=True, slots=True)
class AdoptedOriginal:
    """One original as its companion tells it; `withheld_reason` is set where it is sealed whole."""

    position: int
    attributes: Attributes = field(repr=False)
    instance_key: str
    transfer_syntax: str
    size_bytes: int
    sha256: bytes = field(repr=False)
    received_ms: int
    location: str
    withheld_reason: str | None = None


@dataclass(frozen=True, slots=True)
class AdoptedPart:
    """What lies in one record and its companion.

    `hidden` are instances whose form is shown to nobody, `gone` those that are no instances of this part any
    more; `superseded` are the keys of parts whose place it takes, and `stale` (record key, instance key) of
    forms that other bytes took the place of. `originals_known`: these are all there are, even where none is.
    """

    record_key: str
    contributor_id: int
    patient_key: str
    study_key: str
    series_key: str
    published_ms: int
    forms: Sequence[AdoptedForm]
    originals: Sequence[AdoptedOriginal] = ()
    decided: bool = False
    hidden: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()
    superseded: frozenset[str] = frozenset()
    stale: frozenset[tuple[str, str]] = frozenset()
    originals_known: bool = False


@dataclass(frozen=True, slots=True)
class Adopted:
    """What came of it: rows that are new or point here now, and UIDs under which other bytes are kept.

    `instances` are the originals that lie in this part, by row; `series` the rows of their series.
    """

    forms: int
    originals: int
    conflicts: int
    instances: tuple[int, ...]
    series: tuple[int, ...]


def adopt(connection: Connection, part: AdoptedPart) -> Adopted:
    """Write the rows of a part that are not there."""
    originals = [each for each in part.originals if each.instance_key not in part.gone]
    _make_way(connection, part, originals)
    known = _known(connection, originals)
    new = [each for each in originals if each.attributes.sop_instance_uid not in known]
    if part.decided:  # what a decision did not publish stays where it was sealed
        new = [each for each in new if each.withheld_reason is None]
    written = write(connection, PHI, [_original(part, each) for each in new]) if new else []
    pointed, conflicts = _point(connection, part, originals, known)
    forms = _forms(connection, part)
    if part.superseded:
        _drop_left(connection, part)
    here = _here(connection, part.record_key)
    return Adopted(
        forms=forms,
        originals=sum(done is not None for done in written) + pointed,
        conflicts=conflicts,
        instances=tuple(sorted(row.id for row in here)),
        series=tuple(sorted({row.series_row for row in here})),
    )


def hide(connection: Connection, record_key: str, instance_keys: Iterable[str]) -> int:
    """Take published forms of a part out, where they are there: they were withdrawn."""
    wanted = {"keys": json_list(sorted(instance_keys)), "record": record_key}
    columns = PHI.instance.c
    mine = select(columns.id).where(
        OneOf(columns.instance_key, bindparam("keys")), columns.record_key == bindparam("record")
    )
    rows = connection.execute(mine.where(columns.withheld_reason.is_(None)), wanted).scalars().all()
    return sum(withdraw_published(connection, row, _WITHDRAWN) for row in rows)


def _make_way(connection: Connection, part: AdoptedPart, originals: Sequence[AdoptedOriginal]) -> None:
    """Remove originals that lie in parts where other bytes took their place."""
    if not part.stale:
        return
    for uid, row in _known(connection, originals).items():
        mine = next(each for each in originals if each.attributes.sop_instance_uid == uid)
        if (row["record_key"], mine.instance_key) in part.stale and row["sha256"] != mine.sha256:
            remove_instance(connection, row["id"])


def _original(part: AdoptedPart, each: AdoptedOriginal) -> Entry:
    withheld = _WITHDRAWN if each.instance_key in part.hidden else each.withheld_reason
    return Entry(
        contributor_id=part.contributor_id,
        patient_key=part.patient_key,
        study_key=part.study_key,
        series_key=part.series_key,
        instance_key=each.instance_key,
        attributes=each.attributes,
        extra={
            "transfer_syntax": each.transfer_syntax,
            "size_bytes": each.size_bytes,
            "sha256": each.sha256,
            "received_ms": each.received_ms,
            "location": each.location,
            "record_key": part.record_key,
            "position": each.position,
            "withheld_reason": withheld,
        },
    )


def _known(connection: Connection, originals: Sequence[AdoptedOriginal]) -> dict[str, Mapping[str, Any]]:
    columns = PHI.instance.c
    found = select(
        columns.id, columns.sop_instance_uid, columns.sha256, columns.record_key, columns.withheld_reason
    ).where(OneOf(columns.sop_instance_uid, bindparam("uids")))
    uids = json_list(each.attributes.sop_instance_uid for each in originals)
    rows = connection.execute(found, {"uids": uids}).mappings()
    return {row["sop_instance_uid"]: {**row, "sha256": bytes(row["sha256"])} for row in rows}


def _point(
    connection: Connection,
    part: AdoptedPart,
    originals: Sequence[AdoptedOriginal],
    known: Mapping[str, Mapping[str, Any]],
) -> tuple[int, int]:
    """Point rows that are there into this part, where it is theirs; returns how many, and how many differ."""
    moved: list[dict[str, Any]] = []
    conflicts = 0
    for each in originals:
        row = known.get(each.attributes.sop_instance_uid)
        if row is None:
            continue
        if row["sha256"] != each.sha256:
            conflicts += 1
        elif _is_theirs(part, each, row):
            hidden = each.instance_key in part.hidden
            why = _WITHDRAWN if hidden else each.withheld_reason
            moved.append({"row": row["id"], "at": each.position, "why": why})
    if moved:
        statement = (
            update(PHI.instance)
            .where(PHI.instance.c.id == bindparam("row"))
            .values(record_key=part.record_key, position=bindparam("at"), withheld_reason=bindparam("why"))
        )
        connection.execute(statement, moved)
    return len(moved), conflicts


def _is_theirs(part: AdoptedPart, each: AdoptedOriginal, row: Mapping[str, Any]) -> bool:
    """Whether a row that is there belongs into this part: as publishing it would have decided."""
    if row["record_key"] is None:
        return not (part.decided and each.withheld_reason)
    if row["record_key"] in part.superseded:
        return True
    decided_on = part.decided and each.withheld_reason is None and each.instance_key not in part.hidden
    return decided_on and row["withheld_reason"] is not None and row["record_key"] != part.record_key


def _forms(connection: Connection, part: AdoptedPart) -> int:
    """Write the de-identified rows; an original that is there says whether its form is to be seen."""
    out = part.hidden | part.gone
    forms = [each for each in part.forms if each.instance_key not in out]
    if not forms:
        return 0
    columns = PHI.instance.c
    keys = {"keys": json_list(each.instance_key for each in forms)}
    of_them = select(columns.instance_key, columns.record_key, columns.withheld_reason).where(
        OneOf(columns.instance_key, bindparam("keys"))
    )
    said = {row.instance_key: row for row in connection.execute(of_them, keys)}
    seen = [
        each
        for each in forms
        if (row := said.get(each.instance_key)) is None
        or (row.record_key == part.record_key and row.withheld_reason is None)
    ]
    if part.superseded:
        _move_forms(connection, part, seen)
    written = write(connection, DEID, [_form(part, each) for each in seen]) if seen else []
    return sum(done is not None for done in written)


def _move_forms(connection: Connection, part: AdoptedPart, forms: Sequence[AdoptedForm]) -> None:
    columns = DEID.instance.c
    statement = (
        update(DEID.instance)
        .where(columns.sop_instance_uid == bindparam("uid"), OneOf(columns.record_key, bindparam("old")))
        .values(record_key=part.record_key, position=bindparam("at"), size_bytes=bindparam("bytes"))
    )
    old = json_list(sorted(part.superseded))
    rows = [
        {"uid": each.instance_key, "at": each.position, "bytes": each.size_bytes, "old": old}
        for each in forms
    ]
    if rows:
        connection.execute(statement, rows)


def _drop_left(connection: Connection, part: AdoptedPart) -> None:
    """Take out what parts whose place this one takes still hold: it had gone from them before.

    What was withdrawn, or replaced, is in the old record and not in this one.
    """
    old = {"old": json_list(sorted(part.superseded))}
    families = (PHI, DEID) if part.originals_known else (DEID,)
    for family in families:
        columns = family.instance.c
        left = delete(family.instance).where(OneOf(columns.record_key, bindparam("old")))
        rows = connection.execute(left.returning(columns.series_row), old).scalars()
        for series_row in sorted(set(rows)):
            recount(connection, family, series_row)


def _form(part: AdoptedPart, each: AdoptedForm) -> Entry:
    return Entry(
        contributor_id=part.contributor_id,
        patient_key=part.patient_key,
        study_key=part.study_key or each.attributes.study_instance_uid,
        series_key=part.series_key or each.attributes.series_instance_uid,
        instance_key=each.instance_key,
        attributes=each.attributes,
        extra={
            "transfer_syntax": each.transfer_syntax,
            "size_bytes": each.size_bytes,
            "record_key": part.record_key,
            "position": each.position,
            "published_ms": part.published_ms,
        },
    )


def _here(connection: Connection, record_key: str) -> Sequence[Any]:
    columns = PHI.instance.c
    return connection.execute(
        select(columns.id, columns.series_row).where(columns.record_key == record_key)
    ).all()
