"""What a retrieve names: unique keys to instances, in the order they are sent.

An original UID names the original, for those cleared for it (and cleared to receive it); a pseudonym names
the de-identified form, for everybody who may retrieve.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, literal, null, select

from catalog.attributes import ATTRIBUTES, LEVELS, UNIQUE_KEYS
from catalog.callers import Caller, Right
from catalog.clearance import Access, Viewer
from catalog.conditions import conditions, shape, values
from catalog.matching import Criterion, Tree, check_hierarchy, check_level, criterion
from catalog.query import Fault, InvalidQuery, Level, Query
from catalog.reach import Reach
from catalog.sql import Statements
from catalog.tables import DEID, PHI, Family
from catalog.viewers import viewer

_STATEMENTS = Statements(128)
_UNNUMBERED = 2**40  # behind every number: the engines differ on where NULL goes


@dataclass(frozen=True, slots=True)
class InstanceRef:
    """One instance to be sent: what it is, and where its bytes are.

    `record_key` and `position` say where it lies in the grid; None while an original is not published yet.
    `phi_instance_id` is there for originals alone, and with it `location`, where the gateway received it.
    """

    sop_class_uid: str
    sop_instance_uid: str = field(repr=False)
    transfer_syntax: str
    original: bool
    record_key: str | None
    position: int | None
    phi_instance_id: int | None
    size_bytes: int
    patient_key: str
    study_key: str
    series_key: str
    location: str | None
    series_instance_uid: str = field(default="", repr=False)


_COLUMNS = tuple(each.name for each in fields(InstanceRef) if each.name != "original")
"""As the statement returns them."""


def instances(  # noqa: PLR0913 (what, by whom, to whom, when, through whom)
    connection: Connection,
    query: Query,
    caller: Caller,
    destination: Caller | None,
    now_ms: int,
    *,
    reach: Reach | None = None,
) -> Iterator[InstanceRef]:
    """Resolve the unique keys of a C-MOVE, C-GET or WADO request, in series and instance order.

    Only unique keys count (PS3.4 C.4.2.1.4.1); each may be a list at the level of the query. With a
    `destination` both it and the caller need the rights.

    Raises:
        InvalidQuery: at once, before anything is looked up.
    """
    tree = _parse(query)
    callers = [caller] if destination is None else [caller, destination]
    seen = viewer(connection, Right.RETRIEVE, callers, now_ms, reach)
    return _resolve(connection, tree, seen)


def _resolve(connection: Connection, tree: Tree, seen: Viewer) -> Iterator[InstanceRef]:
    if not seen.access.anything:
        return
    for family in (PHI, DEID) if seen.access.originals else (DEID,):
        key = (family.original, shape(tree), seen.access)
        prepared = _STATEMENTS.get(connection, key, partial(_statement, tree, family, seen.access))
        bound = {**values(tree), **seen.bound}
        for row in prepared.rows(connection, bound, planned_anew=True):
            yield InstanceRef(original=family.original, **dict(zip(_COLUMNS, row, strict=True)))


def _parse(query: Query) -> Tree:
    check_level(query)
    check_hierarchy(query)
    criteria: list[Criterion] = []
    for level in LEVELS[query.root]:
        if level.depth <= query.level.depth:
            keyword = UNIQUE_KEYS[level]
            key = query.key(keyword)
            if key is None or key.universal:
                continue
            asked = criterion(ATTRIBUTES[keyword], key, fuzzy=False)
            if asked is None or any("*" in value or "?" in value for value in key.values):
                raise InvalidQuery(Fault.VALUE, f"{keyword} names what to retrieve: no wildcards")
            criteria.append(asked)
    if not any(each.attribute.level is query.level for each in criteria):
        raise InvalidQuery(Fault.UNIQUE_KEY, f"{UNIQUE_KEYS[query.level]} is needed at this level")
    return Tree(query.level, (), tuple(criteria), ())


def _statement(tree: Tree, family: Family, access: Access) -> Select[Any]:
    patient, study, series, instance = family.patient, family.study, family.series, family.instance
    place: list[ColumnElement[Any]] = (
        [instance.c.id, instance.c.location] if family.original else [null(), null()]
    )
    joined = (
        instance.join(series, series.c.id == instance.c.series_row)
        .join(study, study.c.id == series.c.study_row)
        .join(patient, patient.c.id == study.c.patient_row)
    )
    return (
        select(
            instance.c.sop_class_uid,
            instance.c.sop_instance_uid,
            instance.c.transfer_syntax,
            instance.c.record_key,
            instance.c.position,
            place[0].label("phi_instance_id"),
            instance.c.size_bytes,
            series.c.patient_key,
            series.c.study_key,
            series.c.series_key,
            place[1].label("location"),
            series.c.series_instance_uid,
        )
        .select_from(joined)
        .where(*conditions(tree, family, access), access.visible(family, Level.SERIES, series))
        .where(access.lying(family, instance))
        .order_by(
            study.c.study_instance_uid,
            func.coalesce(series.c.series_number, literal(_UNNUMBERED)),
            series.c.series_instance_uid,
            func.coalesce(instance.c.instance_number, literal(_UNNUMBERED)),
            instance.c.sop_instance_uid,
        )
    )
