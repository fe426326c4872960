"""A part's originals to one record and one sealed companion, both proven before anything is put on a node.

Nothing is written here: the same originals give the same record, byte for byte, on every attempt.
"""

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import BinaryIO

from catalog.extract import Attributes, extract
from deid.elements import Buffer
from deid.engine import Deidentifier
from deid.keys.values import PatientKey
from deid.outcome import Published, Withheld
from deid.pixel_decision import PixelDecision
from deid.restore import RestoreRefused, restore
from deid.science.check import ScienceCheck
from deid.science.outcome import Kept, removed_words, withheld_instead
from deid.seal.reader import open_companion
from deid.seal.values import Sealable, SealNames
from deid.seal.writer import Companion, seal_part
from deid.splice import PixelLayout, Program, program_for, published_payload, whole_program
from dgis.publisher.about import Contributions
from dgis.publisher.pieces import LazyPayloads, PiecesSource
from dgis.publisher.rows import MakeRows
from storage_nodes.names import RecordKey
from storage_nodes.record.errors import RecordRefusedError
from storage_nodes.record.manifest import JSON
from storage_nodes.record.reader import RecordReader
from storage_nodes.record.values import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    FrameLayout,
    PixelElement,
    RecordInstance,
)
from storage_nodes.record.writer import PackedRecord, write_record


class PackError(Exception):
    """A part that cannot be packed now; the text is words about the gateway, never about an image."""


@dataclass(frozen=True, slots=True)
class Source:
    """One original as it lies in the cache: its row, its bytes, and the digest they were received with."""

    phi_instance_id: int
    sop_instance_uid: str = field(repr=False)
    transfer_syntax: str
    sha256: bytes = field(repr=False)
    data: Buffer = field(repr=False)
    decision: PixelDecision | None = None  # in the place of what the rules say of its pixels


@dataclass(frozen=True, slots=True)
class PackedInstance:
    """One instance of the packed part; its place in record and companion is its place in the list."""

    phi_instance_id: int
    attributes: Attributes = field(repr=False)
    transfer_syntax: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class SealedWhole:
    """One instance that is in the companion only, behind the published ones."""

    phi_instance_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class PackedPart:
    """Record and companion, ready to be put; no record where every instance is sealed whole."""

    record: PackedRecord | None
    companion: Companion
    published: tuple[PackedInstance, ...]
    withheld: tuple[SealedWhole, ...]
    removed: tuple[str, ...] = ()  # by the options from what is published, in words


@dataclass(frozen=True, slots=True)
class Sealing:
    """Whose key seals the part, and what is sealed beside the originals."""

    site: str
    key: PatientKey = field(repr=False)
    rows: MakeRows  # of originals, in the order of the companion
    spool: BinaryIO | None = None
    about: Mapping[str, JSON] = field(default_factory=dict)  # what the record says of this part


@dataclass(frozen=True, slots=True)
class Packer:
    """How this site packs: its de-identifier, what holds its work against the originals, and codec threads.

    `about` is what a record says of itself.
    """

    deidentifier: Deidentifier
    science: ScienceCheck
    about: Mapping[str, JSON]
    executor: Executor | None = None
    contributions: Contributions | None = None  # absent: records do not say who contributed them


_Forms = list[tuple[Source, Published]]


def pack(key: RecordKey, sources: Sequence[Source], packer: Packer, sealing: Sealing) -> PackedPart:
    """De-identify, pack and seal the originals of one part, and prove that they can be given back.

    Raises:
        PackError: the cached bytes are not those that were received.
    """
    told = [(source, *_checked(packer, source)) for source in sources]
    published = [(source, form) for source, form, _kept in told if isinstance(form, Published)]
    withheld = [(source, form.reason.value) for source, form, _kept in told if isinstance(form, Withheld)]
    record, published, refused = _recorded(key, published, packer, sealing.about)
    withheld += refused
    in_record = {source.phi_instance_id for source, _form in published}
    sealables = [
        *(_sealable(source, form) for source, form in published),
        *(_whole(source) for source, _reason in withheld),
    ]
    order = [source.phi_instance_id for source, _said in (*published, *withheld)]
    reasons = {source.phi_instance_id: reason for source, reason in withheld}
    companion = _sealed(key, sealables, sealing, sealing.rows(order, reasons))
    return PackedPart(
        record=record,
        companion=companion,
        published=_described(record, published),
        withheld=tuple(SealedWhole(source.phi_instance_id, reason) for source, reason in withheld),
        removed=tuple(
            removed_words(kept for source, _form, kept in told if source.phi_instance_id in in_record)
        ),
    )


def _recorded(
    key: RecordKey, published: _Forms, packer: Packer, about: Mapping[str, JSON]
) -> tuple[PackedRecord | None, _Forms, list[tuple[Source, str]]]:
    """Write the record; what has no place in one is left out of it and returned with the reason."""
    kept, refused = list(published), list[tuple[Source, str]]()
    while kept:
        instances = (_record_instance(source, form) for source, form in kept)
        try:
            manifest = {**packer.about, **about}
            record = write_record(key, instances, manifest=manifest, executor=packer.executor)
        except RecordRefusedError as error:
            if error.instance is None:
                raise PackError(f"the record is refused: {error}") from None
            source, _form = kept.pop(error.instance)
            refused.append((source, f"it has no place in a record: {error}"))
        else:
            return record, kept, refused
    return None, [], refused


def _checked(packer: Packer, source: Source) -> tuple[Published | Withheld, Kept]:
    """De-identify one original; where the result does not say what the original does, withhold it."""
    form = packer.deidentifier.deidentify(
        source.data, source.transfer_syntax, source.sop_instance_uid, source.decision
    )
    if isinstance(form, Withheld):
        return form, Kept()
    checked = packer.science.check(source.data, source.transfer_syntax, form)
    return (form, checked) if isinstance(checked, Kept) else (withheld_instead(form), Kept())


def _record_instance(source: Source, form: Published) -> RecordInstance:
    return RecordInstance(
        sop_instance_uid=form.sop_instance_uid,
        sop_class_uid=form.sop_class_uid,
        transfer_syntax=form.transfer_syntax,
        before=form.before,
        after=form.after,
        pixel=_pixel_element(source, form),
    )


def _pixel_element(source: Source, form: Published) -> PixelElement | None:
    split = form.split
    if split.pixel_tag is None or split.pixel_vr is None:
        return None
    return PixelElement(
        tag=split.pixel_tag,
        vr=split.pixel_vr,
        encapsulated=split.encapsulated,
        # Offsets hold only where no fragment lost a segment; without a table readers go by the items.
        offset_table=b"" if form.payload_edits else split.offset_table,
        layout=None if split.layout is None else _frame_layout(split.layout),
        payloads=_payloads(source, form),
    )


def _frame_layout(layout: PixelLayout) -> FrameLayout:
    return FrameLayout(
        rows=layout.rows,
        columns=layout.columns,
        samples=layout.samples,
        bits_allocated=layout.bits_allocated,
        bits_stored=layout.bits_stored,
        high_bit=layout.high_bit,
        signed=layout.signed,
        planar=layout.planar,
        photometric=layout.photometric,
    )


def _payloads(source: Source, form: Published) -> LazyPayloads:
    data = form.inflated if form.inflated is not None else source.data
    return LazyPayloads(
        len(form.split.holes),
        lambda index: published_payload(data, form.split, index, form.payload_edits),
    )


def _sealable(source: Source, form: Published) -> Sealable:
    program = program_for(form.split, len(source.data), form.payload_edits)
    return _sealed_by(source, program, _payloads(source, form))


def _whole(source: Source) -> Sealable:
    return _sealed_by(source, whole_program(len(source.data)), LazyPayloads(0, _no_payload))


def _no_payload(_index: int) -> Buffer:
    raise LookupError("an instance sealed whole has no payload in the record")


def _sealed_by(source: Source, program: Program, payloads: LazyPayloads) -> Sealable:
    return Sealable(source.data, source.transfer_syntax, source.sha256, program, payloads.__getitem__)


def _sealed(key: RecordKey, sealables: Sequence[Sealable], sealing: Sealing, rows: bytes) -> Companion:
    """Seal, open what was sealed and restore from it: only what comes back byte for byte is trusted."""
    names = SealNames(sealing.site, sealing.key.name, str(key))
    companion = seal_part(sealables, names, sealing.key, rows, spool=sealing.spool)
    opened = open_companion(PiecesSource(companion.body), sealing.key, names)
    for place, sealable in enumerate(sealables):
        try:
            restore(opened.instance(place), sealable.published)
        except RestoreRefused as refused:
            if hashlib.sha256(sealable.original).digest() != sealable.sha256:
                raise PackError("cached bytes do not match the digest they were received with") from None
            raise PackError(f"an original does not come back from its seal: {refused}") from None
    return companion


def _described(
    record: PackedRecord | None, published: Sequence[tuple[Source, Published]]
) -> tuple[PackedInstance, ...]:
    if record is None:
        return ()
    reader = RecordReader(PiecesSource(record.body), record.layout)
    return tuple(
        PackedInstance(
            phi_instance_id=source.phi_instance_id,
            attributes=extract(form.before, EXPLICIT_VR_LITTLE_ENDIAN),
            transfer_syntax=form.transfer_syntax,
            size_bytes=reader.dataset_length(place),
        )
        for place, (source, form) in enumerate(published)
    )
