import hashlib
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import cache

import zstandard

from storage_nodes.names import RecordKey
from storage_nodes.record import skeleton
from storage_nodes.record.batches import Task, code_all
from storage_nodes.record.checks import check_index, instance_problem, is_layout
from storage_nodes.record.codecs.choose import Coded, crc32
from storage_nodes.record.codecs.library import imagecodecs
from storage_nodes.record.envelope import encode_index
from storage_nodes.record.errors import RecordError, RecordRefusedError
from storage_nodes.record.headers import HeaderBlock, HeaderPacker
from storage_nodes.record.index import ElementEntry, Index, InstanceEntry, PayloadEntry, Payloads
from storage_nodes.record.limits import DEFAULT_LIMITS
from storage_nodes.record.manifest import JSON, Manifest, encode_manifest
from storage_nodes.record.summary import RecordSummary, summarise
from storage_nodes.record.values import (
    LONGEST_VALUE_BYTES,
    Buffer,
    FrameLayout,
    PixelElement,
    RecordInstance,
    RecordLayout,
)


@dataclass(frozen=True, slots=True)
class PackedRecord:
    """A record ready to be put on nodes.

    Attributes:
        body: the object in pieces; some are views of payloads that came in, to be kept open until it is put.
        sha256: of the whole object.
        layout: for the replica row.
    """

    key: RecordKey
    body: tuple[Buffer, ...] = field(repr=False)
    size: int
    sha256: bytes
    layout: RecordLayout
    summary: RecordSummary


def write_record(
    key: RecordKey,
    instances: Iterable[RecordInstance],
    *,
    manifest: Mapping[str, JSON],
    executor: Executor | None = None,
) -> PackedRecord:
    """Pack instances, in order, into one record; the same bytes whatever the number of threads.

    In memory are the bytes as they will lie, and about 32 MiB of frames on their way through a codec.

    Args:
        key: joins the record with its rows.
        instances: de-identified; drawn one by one, their payloads too.
        manifest: what the publisher says of the part; it stands under `about`.
        executor: threads to code frames on; the codecs release the interpreter lock.

    Raises:
        RecordRefusedError: no instance at all, or one (`instance` tells which) that has no place in a record.
    """
    gathered = _Gathered()
    coded = list(code_all(gathered.tasks(instances), executor))
    blocks = gathered.headers.finish()
    index = Index(
        instances=gathered.entries,
        payloads=Payloads.of([_payload_entry(one) for one in coded]),
        blocks=[block.entry for block in blocks],
    )
    return _assemble(key, index, blocks, coded, manifest)


class _Gathered:
    """What is noted of instances while their payloads go to the codecs."""

    def __init__(self) -> None:
        self.entries: list[InstanceEntry] = []
        self.headers = HeaderPacker()
        self._uids: set[str] = set()

    def tasks(self, instances: Iterable[RecordInstance]) -> Iterator[Task]:
        """Note each instance and give its payloads."""
        for number, instance in enumerate(instances):
            entry = _instance_entry(instance)
            self._refuse(number, entry)
            pixel = instance.pixel
            self.entries.append(entry)
            offset_table = b"" if pixel is None else pixel.offset_table
            self.headers.add((instance.before, offset_table, instance.after))
            if pixel is not None and entry.element is not None:
                yield from _tasks(number, pixel, entry.element.layout)

    def _refuse(self, number: int, entry: InstanceEntry) -> None:
        if (problem := instance_problem(entry)) is not None:
            raise RecordRefusedError(f"an instance has {problem}", number)
        if entry.header_bytes > DEFAULT_LIMITS.header_block_bytes:
            raise RecordRefusedError(f"an instance has a header of {entry.header_bytes} bytes", number)
        if entry.sop_instance_uid in self._uids:
            raise RecordRefusedError("an instance is given twice", number)
        self._uids.add(entry.sop_instance_uid)


def _tasks(number: int, pixel: PixelElement, layout: FrameLayout | None) -> Iterator[Task]:
    total = 0
    for payload in pixel.payloads:
        view = memoryview(payload).cast("B")
        total += len(view)
        if len(view) > DEFAULT_LIMITS.payload_bytes:
            raise RecordRefusedError(f"an instance has a payload of {len(view)} bytes", number)
        if total > LONGEST_VALUE_BYTES and not pixel.encapsulated:
            raise RecordRefusedError("an instance has more native pixels than a value can be long", number)
        yield Task(view, pixel.encapsulated, layout)


def _instance_entry(instance: RecordInstance) -> InstanceEntry:
    pixel = instance.pixel
    element = None if pixel is None else _element_entry(pixel)
    return InstanceEntry(
        sop_instance_uid=instance.sop_instance_uid,
        sop_class_uid=instance.sop_class_uid,
        transfer_syntax=instance.transfer_syntax,
        before_bytes=len(instance.before),
        offset_table_bytes=0 if pixel is None else len(pixel.offset_table),
        after_bytes=len(instance.after),
        element=element,
        payloads=0 if pixel is None else len(pixel.payloads),
    )


def _element_entry(pixel: PixelElement) -> ElementEntry:
    layout = pixel.layout
    if pixel.encapsulated or (layout is not None and not is_layout(layout)):
        layout = None
    return ElementEntry(pixel.tag, pixel.vr, pixel.encapsulated, layout)


def _payload_entry(coded: Coded) -> PayloadEntry:
    return PayloadEntry(
        codec=coded.codec,
        flags=coded.flags,
        stored_bytes=len(coded.body),
        decoded_bytes=coded.decoded_bytes,
        decoded_crc32=coded.decoded_crc32,
        sha256=coded.sha256,
    )


def _assemble(
    key: RecordKey,
    index: Index,
    blocks: list[HeaderBlock],
    coded: list[Coded],
    about: Mapping[str, JSON],
) -> PackedRecord:
    if not index.instances:
        raise RecordRefusedError("no instance to pack")
    headers_bytes, frames_bytes = index.block_starts[-1], int(index.payload_starts[-1])
    try:
        check_index(index, headers_bytes, frames_bytes, DEFAULT_LIMITS)
    except RecordError as problem:
        raise RecordRefusedError(str(problem)) from None
    index_entry = encode_index(index)
    index_sha256 = hashlib.sha256(index_entry).digest()
    manifest_entry = encode_manifest(
        Manifest(
            key=key,
            instances=len(index.instances),
            payloads=len(index.payloads),
            index_bytes=len(index_entry),
            index_sha256=index_sha256,
            headers_bytes=headers_bytes,
            frames_bytes=frames_bytes,
            writer=codec_versions(),
            about=about,
        )
    )
    places, size = skeleton.extents((len(manifest_entry), len(index_entry), headers_bytes, frames_bytes))
    body = _body((manifest_entry,), (index_entry,), [b.body for b in blocks], [one.body for one in coded])
    digest = hashlib.sha256()
    for piece in body:
        digest.update(piece)
    return PackedRecord(
        key=key,
        body=body,
        size=size,
        sha256=digest.digest(),
        layout=RecordLayout(size, *places[1:], index_sha256),
        summary=summarise(index, size),
    )


def _body(*contents: Iterable[Buffer]) -> tuple[Buffer, ...]:
    body: list[Buffer] = []
    described = []
    for name, pieces in zip(skeleton.ENTRIES, contents, strict=True):
        kept = [piece for piece in pieces if len(piece)]
        checksum = 0
        for piece in kept:
            checksum = crc32(piece, checksum)
        content = skeleton.Content(sum(map(len, kept)), checksum)
        described.append(content)
        body += [skeleton.local_header(name, content), *kept]
    manifest, index, headers, frames = described
    body.append(skeleton.trailer((manifest, index, headers, frames)))
    return tuple(body)


@cache
def codec_versions() -> dict[str, str]:
    """Name the libraries that encode here; constant for a build."""
    libraries = imagecodecs().version(dict)
    return {
        "imagecodecs": imagecodecs().__version__,
        "openjph": str(libraries.get("openjph", "unknown")),
        "zstd": ".".join(map(str, zstandard.ZSTD_VERSION)),
    }
