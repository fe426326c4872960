"""Where an original stands in the catalog, for the gateway's own bookkeeping; no caller ever sees these."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import Connection, bindparam, select

from catalog.sql import OneOf, json_list
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
    columns = PHI.instance.c
    statement = select(columns.id, columns.series_row, columns.record_key, columns.sop_instance_uid).where(
        OneOf(columns.sop_instance_uid, bindparam("uids"))
    )
    rows = connection.execute(statement, {"uids": json_list(sop_instance_uids)})
    return {uid: Standing(row, series, key is not None, uid) for row, series, key, uid in rows}
