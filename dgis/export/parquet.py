"""The de-identified catalog as Parquet files: a table a level, row groups of bounded size."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from catalog.callers import Caller, Right
from catalog.query import Key, Level, Query, Root
from catalog.release import Asker, Releases
from dgis.export.columns import TABLES, Column, Kind, columns
from dgis.export.readme import README

_ROWS = 10_000  # of a row group: what is held of a table
_TYPES = {
    Kind.TEXT: pa.string(),
    Kind.WHOLE: pa.int64(),
    Kind.DAY: pa.date32(),
    Kind.TEXTS: pa.list_(pa.string()),
}
# Whoever runs it: this caller sees what the uncleared see, and no grant makes that more.
_NOBODY = Asker(Caller(name="export", may=frozenset({Right.FIND, Right.RETRIEVE})))


class OriginalError(RuntimeError):
    """An original value was about to be exported: the export ends."""


def export_catalog(releases: Releases, folder: Path) -> dict[str, int]:
    """Write patients, studies, series and instances; returns rows by table.

    Each file takes its name when it is whole, schema.json last: it is what makes the export one, and what
    says when. Tables are read one after the other: what is published meanwhile may be in later ones alone.

    Raises:
        OSError: a file cannot be written.
        SQLAlchemyError: the database does not answer.
    """
    folder.mkdir(parents=True, exist_ok=True)
    said = folder / "schema.json"
    said.unlink(missing_ok=True)
    rows = {name: _table(releases, level, folder / f"{name}.parquet") for level, name in TABLES.items()}
    (folder / "README.md").write_text(README, encoding="utf-8")
    aside = folder / ".schema.json.part"
    aside.write_text(json.dumps(_schema(rows), indent=1) + "\n", encoding="utf-8")
    aside.replace(said)
    return rows


def _table(releases: Releases, level: Level, target: Path) -> int:
    shown = columns(level)
    schema = pa.schema([pa.field(each.keyword, _TYPES[each.kind]) for each in shown])
    aside = target.with_name(f".{target.name}.part")
    count = 0
    with pq.ParquetWriter(aside, schema, compression="zstd") as writer:
        rows = _rows(releases, level, shown)
        while some := list(islice(rows, _ROWS)):
            writer.write_table(pa.Table.from_pylist(some, schema))
            count += len(some)
    aside.replace(target)
    return count


def _rows(releases: Releases, level: Level, shown: tuple[Column, ...]) -> Iterator[Mapping[str, Any]]:
    query = Query(Root.PATIENT, level, tuple(Key(each.keyword) for each in shown), relational=True)
    for match in releases.find(query, _NOBODY):
        if match.original:
            raise OriginalError("the catalog gave an original to a caller without clearance")
        yield {each.keyword: each.value(match.values.get(each.keyword)) for each in shown}


def _schema(rows: Mapping[str, int]) -> dict[str, Any]:
    return {
        "version": 1,
        "edition": datetime.now(UTC).isoformat(timespec="seconds"),
        "tables": {
            name: {
                "file": f"{name}.parquet",
                "rows": rows[name],
                "columns": [
                    {"name": each.keyword, "tag": each.tag, "type": each.kind.value}
                    for each in columns(level)
                ],
            }
            for level, name in TABLES.items()
        },
    }
