"""Parts of a series to one record and one companion that hold the same: nothing is de-identified anew.

Headers and frames are taken from the old records, originals out of the old seals. What came out is proven
against what went in before anything is put on a node: each de-identified instance byte for byte, each
original by the digest it was received with.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from catalog.merge import Place
from deid.elements import Buffer
from deid.keys.values import PatientKey
from deid.restore import RestoreRefused, restore
from deid.seal.reader import CompanionReader, open_companion
from deid.seal.values import Sealable, SealNames, SealRefused
from deid.seal.writer import Companion as SealedPart
from deid.seal.writer import seal_part
from deid.splice import whole_program
from dgis.publisher.pieces import LazyPayloads, PiecesSource
from dgis.publisher.rows import MakeRows
from dgis.retriever.records import Companion, Record
from dgis.spooled import spooled
from storage_nodes.names import RecordKey
from storage_nodes.record.errors import RecordRefusedError
from storage_nodes.record.manifest import JSON
from storage_nodes.record.reader import RecordReader
from storage_nodes.record.values import PixelElement, RecordInstance
from storage_nodes.record.writer import PackedRecord, write_record

_READ_BELOW_BYTES = 4 << 20  # larger originals wait in files


class MergeError(Exception):
    """Parts that cannot be merged as they are; the text is words about the gateway, never about an image."""


@dataclass(frozen=True, slots=True)
class Source:
    """One part that is to be merged; no record where it holds instances sealed whole alone."""

    record: Record | None
    companion: Companion


@dataclass(frozen=True, slots=True)
class Kept:
    """One original on its way: where it lies, its digest and syntax by the catalog."""

    place: Place
    sha256: bytes = field(repr=False)
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class Sealing:
    """Whose key seals the new companion, and what is sealed beside the originals."""

    site: str
    key: PatientKey = field(repr=False)
    rows: MakeRows
    about: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Merged:
    """Record and companion, ready to be put; instances in the order of both, published ones first."""

    record: PackedRecord | None
    companion: SealedPart
    order: tuple[Place, ...]

    @property
    def size(self) -> int:
        """Bytes of both, one copy."""
        return self.companion.size + (self.record.size if self.record else 0)


def merge_parts(
    key: RecordKey,
    sources: Mapping[str, Source],
    kept: Sequence[Kept],
    sealing: Sealing,
    *,
    scratch: Path | None = None,
) -> Merged:
    """Make record and companion of what is kept of some parts, published instances in front.

    Raises:
        MergeError: what came out is not what went in, or has no place in one record.
        dgis.retriever.records.NotHere, deid.keys.values.KeysError: something cannot be read now.
    """
    published = [each for each in kept if each.place.withheld_reason is None]
    withheld = [each for each in kept if each.place.withheld_reason is not None]
    record = _recorded(key, sources, published, sealing.about)
    order = [*published, *withheld]
    sealables = [_sealable(sources[each.place.record_key], each, scratch) for each in order]
    names = SealNames(sealing.site, sealing.key.name, str(key))
    reasons = {
        each.place.phi_instance_id: reason for each in withheld if (reason := each.place.withheld_reason)
    }
    rows = sealing.rows([each.place.phi_instance_id for each in order], reasons)
    companion = seal_part(sealables, names, sealing.key, rows)
    reader = None if record is None else RecordReader(PiecesSource(record.body), record.layout)
    if reader is not None:
        _prove_forms(reader, sources, published)
    _prove_originals(open_companion(PiecesSource(companion.body), sealing.key, names), reader, order)
    return Merged(record, companion, tuple(each.place for each in order))


def _recorded(
    key: RecordKey,
    sources: Mapping[str, Source],
    published: Sequence[Kept],
    about: Mapping[str, JSON],
) -> PackedRecord | None:
    if not published:
        return None
    instances = (_instance(_record_of(sources, each), each.place.position) for each in published)
    try:
        return write_record(key, instances, manifest=about)
    except RecordRefusedError as error:
        raise MergeError(f"the record is refused: {error}") from None


def _record_of(sources: Mapping[str, Source], kept: Kept) -> Record:
    record = sources[kept.place.record_key].record
    if record is None:
        raise MergeError("a published instance lies in no record")
    return record


def _instance(record: Record, position: int) -> RecordInstance:
    entry = record.ask(lambda reader: reader.instances[position])
    before, offset_table, after = record.ask(lambda reader: reader.header(position))
    pixel = None
    if entry.element is not None:
        pixel = PixelElement(
            tag=entry.element.tag,
            vr=entry.element.vr,
            encapsulated=entry.element.encapsulated,
            offset_table=offset_table,
            layout=entry.element.layout,
            payloads=LazyPayloads(entry.payloads, lambda number: record.payload(position, number)),
        )
    return RecordInstance(
        sop_instance_uid=entry.sop_instance_uid,
        sop_class_uid=entry.sop_class_uid,
        transfer_syntax=entry.transfer_syntax,
        before=before,
        after=after,
        pixel=pixel,
    )


def _sealable(source: Source, kept: Kept, scratch: Path | None) -> Sealable:
    position = kept.place.position
    payload = _payloads(source.record, position)

    def read(reader: CompanionReader) -> Sealable:
        sealed = reader.instance(position)
        if sealed.sha256 != kept.sha256 or sealed.transfer_syntax != kept.transfer_syntax:
            raise MergeError("another original is sealed there than the catalog says")
        pieces = restore(sealed, payload)
        small = sealed.length < _READ_BELOW_BYTES
        data: Buffer = b"".join(pieces) if small else spooled(pieces, scratch)
        # What is withheld now is sealed whole, though its form may lie in the old record: it was withdrawn.
        whole = kept.place.withheld_reason is not None
        program = whole_program(sealed.length) if whole else sealed.program
        return Sealable(data, sealed.transfer_syntax, sealed.sha256, program, payload)

    try:
        return source.companion.ask(read)
    except (RestoreRefused, SealRefused) as error:
        raise MergeError(f"an original does not come out of its seal: {error}") from None


def _payloads(record: Record | None, position: int) -> Callable[[int], Buffer]:
    def payload(number: int) -> Buffer:
        if record is None:
            raise LookupError("an instance sealed whole has no payload")
        return record.payload(position, number)

    return payload


def _prove_forms(reader: RecordReader, sources: Mapping[str, Source], published: Sequence[Kept]) -> None:
    for place, each in enumerate(published):
        record, position = _record_of(sources, each), each.place.position
        old = record.ask(partial(_named, place=position))
        if _named(reader, place) != old or old[0] != each.place.instance_key:
            raise MergeError("an instance is named otherwise than in the record it comes from")
        if _digest(reader.dataset(place)) != _digest(record.dataset(position)):
            raise MergeError("a de-identified instance differs from the one it was made of")


def _named(reader: RecordReader, place: int) -> tuple[str, str, str]:
    entry = reader.instances[place]
    return entry.sop_instance_uid, entry.sop_class_uid, entry.transfer_syntax


def _prove_originals(companion: CompanionReader, reader: RecordReader | None, order: Sequence[Kept]) -> None:
    """Put every original together again from the new companion and the new record."""
    for place, each in enumerate(order):
        payload = _new_payloads(reader, place)
        try:
            digest = _digest(restore(companion.instance(place), payload))
        except (RestoreRefused, SealRefused) as error:
            raise MergeError(f"an original does not come back from its new seal: {error}") from None
        if digest != each.sha256:
            raise MergeError("an original differs from the one that was received")


def _new_payloads(reader: RecordReader | None, place: int) -> Callable[[int], Buffer]:
    def payload(number: int) -> Buffer:
        if reader is None:
            raise LookupError("there is no record")
        return reader.payload(place, number)

    return payload


def _digest(pieces: Iterator[Buffer]) -> bytes:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.digest()
