"""Where an original stands in the catalog, for the gateway's own bookkeeping; no caller ever sees these."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Select, bindparam, select

from catalog.sql import OneOf, Statements, json_list
from catalog.tables import PHI


@dataclass(frozen=True, slots=True)
class Standing:
    """The rows of one original, and whether a record holds it."""

    phi_instance_id: int
    phi_series_id: int
    published: bool
    sop_instance_uid: str = field(repr=False)


def standing(connection: Connection, sop_instance_uids: Iterable[str]) -> dict[str, Standing]:
    """Return the standing of each known original by its SOP Instance UID."""
    uids = json_list(sop_instance_uids)
    rows = _STATEMENTS.get(connection, "standing", _by_uid).run(connection, {"uids": uids})
    return {
        row.sop_instance_uid: Standing(
            row.id, row.series_row, row.record_key is not None, row.sop_instance_uid
        )
        for row in rows
    }


_STATEMENTS = Statements(4)


def _by_uid() -> Select[Any]:
    columns = PHI.instance.c
    return select(columns.id, columns.series_row, columns.record_key, columns.sop_instance_uid).where(
        OneOf(columns.sop_instance_uid, bindparam("uids"))
    )
