"""The counts and summaries that stand in the rows, kept in the transaction that adds instances.

A query for 14 keys then reads one row a match. Rows are locked and read before they are changed, from the
series upwards; the first instance of a series makes it count in its study, and so on.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, Table, Update, bindparam, select, update

from catalog import text
from catalog.attributes import STORED
from catalog.extract import Attributes, Row
from catalog.query import Level
from catalog.sql import OneOfIds, Statements, insert_each
from catalog.tables import Family, folded_columns


@dataclass(slots=True)
class _Change:
    """What one batch adds beneath one row."""

    instances: int = 0
    series: int = 0
    studies: int = 0
    modalities: set[str] = field(default_factory=set)
    sop_classes: set[str] = field(default_factory=set)
    headers: list[Attributes] = field(default_factory=list, repr=False)


def add_counts(connection: Connection, family: Family, added: Iterable[tuple[int, Attributes]]) -> None:
    """Count newly inserted instances, given as (series row, attributes), in every row above them.

    Attributes that a row has no value for are filled from later instances; a value once there stays.
    """
    series: dict[int, _Change] = defaultdict(_Change)
    for series_row, attributes in added:
        change = series[series_row]
        change.instances += 1
        change.sop_classes.add(attributes.sop_class_uid)
        change.headers.append(attributes)
    studies: dict[int, _Change] = defaultdict(_Change)
    for row in _apply(connection, family, Level.SERIES, series):
        change = series[row["id"]]
        modality = row["modality"] or next(filter(None, (h.series["modality"] for h in change.headers)), "")
        above = studies[row["study_row"]]
        above.series += not row["instance_count"]
        above.modalities.add(str(modality))
        _pass_on(change, above)
    patients: dict[int, _Change] = defaultdict(_Change)
    for row in _apply(connection, family, Level.STUDY, studies):
        change = studies[row["id"]]
        above = patients[row["patient_row"]]
        above.studies += not row["instance_count"]
        above.series += change.series
        _pass_on(change, above)
    _apply(connection, family, Level.PATIENT, patients)


def _pass_on(change: _Change, above: _Change) -> None:
    above.instances += change.instances
    above.sop_classes |= change.sop_classes
    above.headers += change.headers


def _apply(
    connection: Connection, family: Family, level: Level, changes: Mapping[int, _Change]
) -> Sequence[RowMapping]:
    """Lock the rows, write what changes in them, and return them as they were before."""
    table = family.table(level)
    columns = [name for name in _COUNTED if name in table.c]
    lock = _STATEMENTS.get(connection, ("lock", table.name), lambda: _locked(table))
    rows = lock.run(connection, {"rows": json.dumps(sorted(changes))}).mappings().all()
    count = _STATEMENTS.get(connection, ("count", table.name), lambda: _counted(table, columns))
    count.run_each(
        connection,
        (
            {"row": row["id"], **{f"new_{name}": _COUNTED[name](row, changes[row["id"]]) for name in columns}}
            for row in rows
        ),
    )
    for row in rows:
        _fill(connection, family, level, row, changes[row["id"]].headers)
    return rows


_STATEMENTS = Statements(32)


def _locked(table: Table) -> Select[Any]:
    wanted = OneOfIds(table.c.id, bindparam("rows"))
    # No key update: two writers hold each other's rows by foreign key already, and would deadlock over more.
    return select(table).where(wanted).order_by(table.c.id).with_for_update(key_share=True)


def _counted(table: Table, columns: Iterable[str]) -> Update:
    values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in columns}
    return update(table).where(table.c.id == bindparam("row")).values(values)


def _union(before: str, more: Iterable[str]) -> str:
    return json.dumps(sorted({*json.loads(before), *filter(None, more)}), ensure_ascii=False)


_COUNTED: dict[str, Any] = {
    "instance_count": lambda row, change: row["instance_count"] + change.instances,
    "series_count": lambda row, change: row["series_count"] + change.series,
    "study_count": lambda row, change: row["study_count"] + change.studies,
    "modalities": lambda row, change: _union(row["modalities"], change.modalities),
    "sop_classes": lambda row, change: _union(row["sop_classes"], change.sop_classes),
}


def _fill(
    connection: Connection, family: Family, level: Level, row: RowMapping, headers: Iterable[Attributes]
) -> None:
    """Fill what the row has no value for; what a name is matched by follows the name."""
    empty = [columns for columns in _FILLED[level] if row[columns[0]] in _NOTHING]
    filled: dict[str, Any] = {}
    for values in _distinct(header.row(level) for header in headers):
        for columns in empty:
            if values[columns[0]] not in _NOTHING and columns[0] not in filled:
                filled |= {name: values[name] for name in columns}
    if filled:
        table = family.table(level)
        connection.execute(update(table).where(table.c.id == row["id"]).values(filled))
    if "patient_name" in filled:
        write_name_words(connection, family, [(row["id"], filled["patient_name"])])


def _distinct(rows: Iterable[Row]) -> Iterator[Row]:
    """Leave out what equals the row before it, as the images of a series mostly do."""
    before: Row | None = None
    for row in rows:
        if row != before:
            yield row
        before = row


_NOTHING = frozenset({None, ""})
_FILLED = {
    level: tuple((attribute.column, *folded_columns(attribute)) for attribute in STORED[level])
    for level in Level
}


def write_name_words(connection: Connection, family: Family, names: Iterable[tuple[int, str]]) -> None:
    """Make patients findable by the words of their names; (patient row, name) pairs."""
    rows = [{"patient_row": row, "word": word} for row, name in names for word in text.words(name)]
    insert_each(connection, family.name_word, rows)
