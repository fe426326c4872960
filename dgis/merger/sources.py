"""The parts of a merge: what the catalog says of them, and their records and companions, opened."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from catalog.merge import places_in
from catalog.tables import PHI
from deid.keys.values import PatientKey
from dgis.cache.sql import in_lists, reading
from dgis.merger.packing import Kept, MergeError, Source
from dgis.merger.values import Merge
from dgis.publisher.about import CONTRIBUTOR, PATIENT, PLANNED, SUPERSEDES
from dgis.publisher.labelling import code_of
from dgis.publisher.rows import contribution, series_keys
from dgis.publisher.sealed import SealedRows, read_rows
from dgis.publisher.tables import publish_part
from dgis.publisher.values import Original, Part, Sealed
from dgis.retriever.records import Shelf
from storage_nodes.names import RecordKey
from storage_nodes.record.manifest import JSON

_READ_AHEAD_BYTES = 4 << 20  # a part is read front to back


class Changed(Exception):  # noqa: N818 (reads as what happened)
    """The parts are not what they were when they were chosen: others are to be chosen."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What is known of the parts of a merge before it is packed; `part` is the one that is to be."""

    patient: str
    study: str
    modality: str
    facility: str
    gateway_id: str
    kept: tuple[Kept, ...]
    part: Part


def read_parts(engine: sa.Engine, merge: Merge) -> Parts:
    """Read what the catalog says of the parts of a merge.

    Raises:
        Changed: they are not what they were when they were chosen.
    """
    with reading(engine) as connection:
        places = places_in(connection, merge.sources)
        if not places:
            raise Changed("what is in the parts has changed meanwhile")
        keys = series_keys(connection, merge.phi_series_id)
        by = contribution(connection, merge.phi_series_id)
        instance, part = PHI.instance.c, publish_part.c
        rows: dict[int, sa.Row[Any]] = {}
        for some in in_lists([each.phi_instance_id for each in places]):
            rows |= {
                row.id: row
                for row in connection.execute(
                    sa.select(
                        instance.id,
                        instance.sop_instance_uid,
                        instance.sha256,
                        instance.transfer_syntax,
                        instance.size_bytes,
                    ).where(instance.id.in_(some))
                )
            }
        parts = connection.execute(
            sa.select(part.gateway_id, part.planned_ms, part.raw_bytes)
            .where(part.record_key.in_(merge.sources))
            .order_by(part.planned_ms, part.record_key)
        ).all()
    if len(rows) != len(places) or len(parts) != len(merge.sources):
        raise Changed("what is in the parts has changed meanwhile")
    pairs = [(each, rows[each.phi_instance_id]) for each in places]
    kept = tuple(Kept(each, bytes(row.sha256), row.transfer_syntax) for each, row in pairs)
    originals = tuple(
        Original(
            row.id,
            row.sop_instance_uid,
            row.transfer_syntax,
            Sealed(RecordKey(each.record_key), each.position, row.size_bytes, bytes(row.sha256)),
        )
        for each, row in pairs
    )
    # Behind all that it takes the place of, and before what was planned later: rebuilds go by that.
    planned_ms = parts[-1].planned_ms + 1
    made = Part(0, merge.phi_series_id, merge.record_key, merge.attempts, originals, planned_ms=planned_ms)
    modality, gateway_id = code_of(keys.modality), parts[0].gateway_id
    return Parts(keys.patient, keys.study, modality, by.facility, gateway_id, kept, made)


def open_sources(
    shelf: Shelf, key_of: Callable[[str], PatientKey], merge: Merge, read: Parts
) -> dict[str, Source]:
    """Return records and companions, by the keys of their parts.

    Raises:
        dgis.retriever.records.NotHere: the index knows of none.
    """
    published = {each.place.record_key for each in read.kept if each.place.withheld_reason is None}
    return {
        each: Source(
            shelf.record(RecordKey(each), _READ_AHEAD_BYTES) if each in published else None,
            shelf.companion(RecordKey(each), key_of),
        )
        for each in merge.sources
    }


def decided(sources: Mapping[str, Source], key: PatientKey) -> bool:
    """Whether the parts hold what reviewers decided; all of them do, or none.

    Raises:
        MergeError: they cannot be merged with each other, or not under this key.
    """
    said: set[bool] = set()
    for source in sources.values():
        rows: SealedRows | None = source.companion.ask(lambda reader: read_rows(reader.rows()))
        if rows is None:
            raise MergeError("the sealed rows of a part are of a version this program does not read")
        if source.companion.key_name != key.name:
            raise MergeError("a part is sealed under another key than the patient's present one")
        said.add(rows.decided)
    if len(said) != 1:
        raise MergeError("decided parts are not merged with others")
    return said.pop()


_OF_ONE_PART = frozenset({PATIENT, PLANNED, CONTRIBUTOR, SUPERSEDES})


def said_of(sources: Mapping[str, Source]) -> dict[str, JSON]:
    """Return what the records say of how they were made; all say the same.

    Raises:
        MergeError: they do not.
    """
    said: list[dict[str, JSON]] = []
    for source in sources.values():
        if source.record is not None:
            about = source.record.ask(lambda reader: dict(reader.manifest.about))
            said.append({name: value for name, value in about.items() if name not in _OF_ONE_PART})
    if any(each != said[0] for each in said):
        raise MergeError("the parts were de-identified by different profiles")
    return said[0] if said else {}
