"""From durable bytes to rows: what the cache's indexer calls for each batch, inside its transaction."""

import zlib
from collections.abc import Callable, Sequence

import sqlalchemy as sa

from catalog import ingest as catalog
from catalog.contributors import PublisherGrant
from catalog.extract import Attributes, extract, extract_known
from catalog.lookup import Standing, standing
from deid.deflate import is_deflated
from dgis.cache.extent import EvictedError
from dgis.cache.outcomes import Arrival, Conflict, Duplicate, Ingest, New, Outcome, Unreadable
from dgis.cache.values import StoreMeta
from dgis.identity.wire import from_json
from dgis.keyholder.protocol import Identifiers, Keys

# Every attribute the catalog wants stands before the bulk of a data set, mostly within some kilobytes;
# vendors' private groups in front of them have been seen with 120 KB.
_SHORT_HEADER_BYTES = 16 << 10
_HEADER_BYTES = 512 << 10
_LONG_HEADER_BYTES = 32 << 20  # tried where the first stretch names no study: thousands of references
HEADER_BYTES = (_HEADER_BYTES, _LONG_HEADER_BYTES)

Pseudonyms = Callable[[Sequence[Identifiers]], Sequence[Keys]]


def ingester(facility: str, pseudonyms: Pseudonyms, grant: PublisherGrant) -> Ingest:
    """Return the function that writes a batch of arrivals into the catalog.

    Args:
        facility: the patients' home; part of every patient's identity.
        pseudonyms: asks the process that holds the site secret; may raise KeyholderGone, and then the
            batch is tried again later.
        grant: what a publisher's assertions open of its own contributions.
    """

    def ingest(connection: sa.Connection, arrivals: Sequence[Arrival]) -> list[Outcome]:
        read = [_attributes(arrival) for arrival in arrivals]
        legible = [index for index, found in enumerate(read) if isinstance(found, Attributes)]
        keys = pseudonyms([_identifiers(read[index]) for index in legible]) if legible else []
        batch = [
            _received(arrivals[index], read[index], key, facility)
            for index, key in zip(legible, keys, strict=True)
        ]
        said = catalog.ingest(connection, batch, grant)
        old = _uids_to_look_up(batch, said)
        known = standing(connection, old) if old else {}
        outcomes: dict[int, Outcome] = {
            index: _outcome(outcome, received, known)
            for index, received, outcome in zip(legible, batch, said, strict=True)
        }
        return [outcomes.get(index) or Unreadable(str(found)) for index, found in enumerate(read)]

    return ingest


def whose(arrival: Arrival) -> Identifiers | None:
    """Return what an instance calls its patient, however little else of it can be read; None: nothing.

    Raises:
        EvictedError: its bytes cannot be had now.
    """
    with arrival.open() as extent:
        head = extent.read(0, _LONG_HEADER_BYTES)
    if is_deflated(arrival.meta.transfer_syntax):
        try:
            head = zlib.decompressobj(wbits=-zlib.MAX_WBITS).decompress(head, _LONG_HEADER_BYTES)
        except zlib.error:
            return None
    found = _identifiers(extract(head, arrival.meta.transfer_syntax))
    return found if found.patient_id or found.study_uid else None


def _attributes(arrival: Arrival) -> Attributes | str:
    found: Attributes | str = ""
    try:
        with arrival.open() as extent:
            head = extent.read(0, _SHORT_HEADER_BYTES)
            if not is_deflated(arrival.meta.transfer_syntax):
                short, whole = extract_known(head, arrival.meta.transfer_syntax)
                if whole:
                    return _judged(arrival.meta, short)
            for length in HEADER_BYTES:
                head = extent.read(0, length)
                found = _read(arrival.meta, head, length)
                if isinstance(found, Attributes) or len(head) < length:
                    break
    except EvictedError:
        return "its bytes are gone"
    return found


def _read(meta: StoreMeta, head: bytes, length: int) -> Attributes | str:
    found = read_head(head, meta.transfer_syntax, length)
    return "its deflated bytes are damaged" if found is None else _judged(meta, found)


def _judged(meta: StoreMeta, found: Attributes) -> Attributes | str:
    # The door compared the UIDs when it answered; what the index stands on is what it answered for.
    if found.sop_instance_uid != meta.sop_instance_uid:
        return "its SOP Instance UID is not the one it was sent under"
    if not found.study_instance_uid or not found.series_instance_uid:
        return "it names no study or no series"
    return found


def read_head(head: bytes, transfer_syntax: str, most_bytes: int) -> Attributes | None:
    """Read the attributes of the beginning of a data set; None where its deflated bytes are damaged."""
    if is_deflated(transfer_syntax):
        try:
            head = zlib.decompressobj(wbits=-zlib.MAX_WBITS).decompress(head, most_bytes)
        except zlib.error:
            return None
    return extract(head, transfer_syntax)


def _identifiers(found: Attributes | str) -> Identifiers:
    assert isinstance(found, Attributes)
    return Identifiers(
        issuer=str(found.patient["issuer_of_patient_id"]),
        patient_id=str(found.patient["patient_id"]),
        study_uid=found.study_instance_uid,
        series_uid=found.series_instance_uid,
        sop_instance_uid=found.sop_instance_uid,
    )


def _received(arrival: Arrival, found: Attributes | str, keys: Keys, facility: str) -> catalog.Received:
    assert isinstance(found, Attributes)
    return catalog.Received(
        attributes=found,
        contributor=from_json(arrival.meta.assertions),
        facility=facility,
        patient_key=keys.patient,
        study_key=keys.study,
        series_key=keys.series,
        instance_key=keys.instance,
        sha256=arrival.location.sha256,
        size_bytes=arrival.location.length,
        transfer_syntax=arrival.meta.transfer_syntax,
        location=f"{arrival.location.segment_id}:{arrival.location.position}",
        received_ms=arrival.meta.received_ms,
    )


def _uids_to_look_up(batch: Sequence[catalog.Received], said: Sequence[catalog.Outcome]) -> list[str]:
    return [
        received.sop_instance_uid
        for received, outcome in zip(batch, said, strict=True)
        if not isinstance(outcome, catalog.New)
    ]


def _outcome(said: catalog.Outcome, received: catalog.Received, known: dict[str, Standing]) -> Outcome:
    if isinstance(said, catalog.New):
        return New(said.phi_instance_id, said.phi_series_id)
    there = known[received.sop_instance_uid]
    if isinstance(said, catalog.Duplicate):
        return Duplicate(there.phi_instance_id, there.phi_series_id, there.published)
    return Conflict(there.phi_instance_id)
