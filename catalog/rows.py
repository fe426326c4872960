"""Writing instances into one family: the rows above them are made as needed, and the counts kept.

Every step takes its rows in one order (patients, studies, series, instances, then counts from series
upwards, each sorted), so that two gateways writing the same study wait for each other and never deadlock.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Select, Table, bindparam, select

from catalog.counts import add_counts, write_name_words
from catalog.extract import Attributes
from catalog.query import Level
from catalog.sql import OneOf, Statements, insert_new, json_list
from catalog.tables import Family

Key = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One instance to be written; `extra` holds the instance columns that no header gives."""

    contributor_id: int
    patient_key: str
    study_key: str
    series_key: str
    instance_key: str
    attributes: Attributes
    extra: Mapping[str, Any] = field(repr=False)

    @property
    def patient_id(self) -> Key:
        """What makes the patient row unique, in the order of its columns."""
        return (self.patient_key, self.contributor_id)

    @property
    def study_id(self) -> Key:
        """What makes the study row unique, in the order of its columns."""
        return (self.study_key, *self.patient_id)

    @property
    def series_id(self) -> Key:
        """What makes the series row unique, in the order of its columns."""
        return (self.series_key, *self.study_id)


@dataclass(frozen=True, slots=True)
class Written:
    """The rows of an instance that was new."""

    instance_id: int
    series_id: int


_PATIENT = ("patient_key", "contributor_id")
_STUDY = ("study_key", *_PATIENT)
_SERIES = ("series_key", *_STUDY)


def write(connection: Connection, family: Family, entries: Sequence[Entry]) -> list[Written | None]:
    """Insert the instances whose SOP Instance UID is not taken yet; None for each of the others."""
    series_ids = _series_ids(connection, family, {entry.series_id: entry for entry in entries})
    rows = [
        {
            **entry.attributes.image,
            **entry.extra,
            "instance_key": entry.instance_key,
            "series_row": series_ids[entry.series_id],
        }
        for entry in entries
    ]
    by_uid = {str(row["sop_instance_uid"]): row for row in reversed(rows)}
    table = family.instance
    ordered = [by_uid[uid] for uid in sorted(by_uid)]
    inserted = {uid: row_id for row_id, uid in insert_new(connection, table, ordered, ("sop_instance_uid",))}
    written: list[Written | None] = []
    for entry, row in zip(entries, rows, strict=True):
        uid = str(row["sop_instance_uid"])
        mine = uid in inserted and by_uid[uid] is row
        written.append(Written(inserted[uid], series_ids[entry.series_id]) if mine else None)
    added = [(done.series_id, entry.attributes) for done, entry in zip(written, entries, strict=True) if done]
    if added:
        add_counts(connection, family, added)
    return written


def _series_ids(connection: Connection, family: Family, wanted: Mapping[Key, Entry]) -> dict[Key, int]:
    found = _existing(connection, family.series, _SERIES, wanted)
    missing = {key: entry for key, entry in wanted.items() if key not in found}
    if not missing:
        return found
    studies = _study_ids(connection, family, {entry.study_id: entry for entry in missing.values()})
    rows = [
        {
            **entry.attributes.series,
            **dict(zip(_SERIES, key, strict=True)),
            "study_row": studies[entry.study_id],
        }
        for key, entry in sorted(missing.items(), key=_by_key)
    ]
    return found | _inserted(connection, family.series, _SERIES, rows, missing)


def _study_ids(connection: Connection, family: Family, wanted: Mapping[Key, Entry]) -> dict[Key, int]:
    found = _existing(connection, family.study, _STUDY, wanted)
    missing = {key: entry for key, entry in wanted.items() if key not in found}
    if not missing:
        return found
    patients = _patient_ids(connection, family, {entry.patient_id: entry for entry in missing.values()})
    rows = [
        {
            **entry.attributes.study,
            **dict(zip(_STUDY, key, strict=True)),
            "patient_row": patients[entry.patient_id],
        }
        for key, entry in sorted(missing.items(), key=_by_key)
    ]
    return found | _inserted(connection, family.study, _STUDY, rows, missing)


def _patient_ids(connection: Connection, family: Family, wanted: Mapping[Key, Entry]) -> dict[Key, int]:
    found = _existing(connection, family.patient, _PATIENT, wanted)
    missing = {key: entry for key, entry in wanted.items() if key not in found}
    if not missing:
        return found
    rows = [
        {**entry.attributes.row(Level.PATIENT), **dict(zip(_PATIENT, key, strict=True))}
        for key, entry in sorted(missing.items(), key=_by_key)
    ]
    made = _inserted(connection, family.patient, _PATIENT, rows, missing)
    names = ((made[key], str(entry.attributes.patient["patient_name"])) for key, entry in missing.items())
    write_name_words(connection, family, names)
    return found | made


def _by_key(item: tuple[Key, Entry]) -> Key:
    return item[0]


def _existing(
    connection: Connection, table: Table, columns: tuple[str, ...], wanted: Iterable[Key]
) -> dict[Key, int]:
    """Look rows up by the first of their key columns, which is nearly unique."""
    lookup = _STATEMENTS.get(connection, table.name, lambda: _lookup(table, columns))
    wanted = set(wanted)
    found = lookup.run(connection, {"keys": json_list({str(key[0]) for key in wanted})})
    pairs: Iterator[tuple[Key, int]] = ((tuple(row[1:]), row[0]) for row in found)
    return {key: row_id for key, row_id in pairs if key in wanted}


_STATEMENTS = Statements(16)


def _lookup(table: Table, columns: tuple[str, ...]) -> Select[Any]:
    keys = [table.c[name] for name in columns]
    return select(table.c.id, *keys).where(OneOf(keys[0], bindparam("keys")))


def _inserted(
    connection: Connection,
    table: Table,
    columns: tuple[str, ...],
    rows: list[dict[str, Any]],
    wanted: Iterable[Key],
) -> dict[Key, int]:
    """Insert rows and return their ids; those another gateway was faster with are looked up."""
    made: dict[Key, int] = {
        tuple(key): row_id for row_id, *key in insert_new(connection, table, rows, columns)
    }
    lost = [key for key in wanted if key not in made]
    return made | (_existing(connection, table, columns, lost) if lost else {})
