"""From a source to a checked index, by one read where the part is of ordinary size."""

import hashlib
from typing import Final

from storage_nodes.record import skeleton
from storage_nodes.record.checks import check_index
from storage_nodes.record.codecs.choose import crc32
from storage_nodes.record.envelope import decode_index
from storage_nodes.record.errors import DamagedRecordError, RecordTooLargeError
from storage_nodes.record.index import Index
from storage_nodes.record.limits import KIB, MOST_INDEX_BYTES, MOST_MANIFEST_BYTES, Limits
from storage_nodes.record.manifest import Manifest, decode_manifest
from storage_nodes.record.values import Extent, RecordLayout
from storage_nodes.record.window import Window

OPENING_BYTES: Final = 64 * KIB


def read_manifest(window: Window, size: int) -> tuple[Manifest, RecordLayout]:
    """Read the manifest, and make of it where everything else lies.

    Raises:
        DamagedRecordError: this is no record, or its lengths are not those of an object of `size` bytes.
        UnsupportedRecordError: of a later version.
        RecordTooLargeError: a manifest no writer makes.
    """
    if size < skeleton.CONTENTS_START:
        raise DamagedRecordError("too short for a record")
    head = window.read(Extent(0, skeleton.CONTENTS_START), ahead_to=OPENING_BYTES)
    content = skeleton.first_content(bytes(head))
    if content is None:
        raise DamagedRecordError("this does not begin as a record does")
    if content.length > MOST_MANIFEST_BYTES:
        raise RecordTooLargeError(f"a manifest of {content.length} bytes")
    text = bytes(window.read(Extent(skeleton.CONTENTS_START, content.length), ahead_to=OPENING_BYTES))
    if crc32(text) != content.crc32:
        raise DamagedRecordError("the manifest is damaged")
    manifest = decode_manifest(text)
    layout = layout_of(manifest, content.length)
    if layout.size != size:
        raise DamagedRecordError(f"a record of {layout.size} bytes in an object of {size}")
    return manifest, layout


def layout_of(manifest: Manifest, manifest_bytes: int) -> RecordLayout:
    """Tell where the parts lie behind a manifest of this length."""
    places, size = skeleton.extents(
        (manifest_bytes, manifest.index_bytes, manifest.headers_bytes, manifest.frames_bytes)
    )
    return RecordLayout(size, *places[1:], manifest.index_sha256)


def check_manifest(manifest: Manifest, layout: RecordLayout, index: Index) -> None:
    """Compare what the manifest says with what is there.

    Raises:
        DamagedRecordError: they are not of one record.
    """
    counts = (len(index.instances), len(index.payloads))
    if layout_of(manifest, _manifest_bytes(layout)) != layout or counts != (
        manifest.instances,
        manifest.payloads,
    ):
        raise DamagedRecordError("the manifest speaks of another record")


def check_layout(layout: RecordLayout, size: int) -> None:
    """Refuse a layout that is not this object's.

    Raises:
        DamagedRecordError: of another size, or its parts do not lie as they do in a record.
    """
    lengths = (_manifest_bytes(layout), layout.index.length, layout.headers.length, layout.frames.length)
    if layout.size != size or min(lengths) < 0:
        raise DamagedRecordError(f"a record of {layout.size} bytes in an object of {size}")
    places, expected_size = skeleton.extents(lengths)
    if places[1:] != (layout.index, layout.headers, layout.frames) or expected_size != size:
        raise DamagedRecordError("the parts do not lie as the layout says")


def read_index(window: Window, layout: RecordLayout, limits: Limits) -> Index:
    """Read the index and check it against its digest, itself and the layout.

    Raises:
        DamagedRecordError: it is not the one the layout speaks of, or something in it cannot be.
        UnsupportedRecordError: of a later version.
        RecordTooLargeError: it asks for more than `limits` or any writer allows.
    """
    if layout.index.length > MOST_INDEX_BYTES:
        raise RecordTooLargeError(f"an index of {layout.index.length} bytes")
    near = min(layout.headers.end, layout.index.start + OPENING_BYTES)
    entry = window.read(layout.index, ahead_to=near)
    if hashlib.sha256(entry).digest() != layout.index_sha256:
        raise DamagedRecordError("the index is damaged")
    index = decode_index(entry)
    check_index(index, layout.headers.length, layout.frames.length, limits)
    return index


def _manifest_bytes(layout: RecordLayout) -> int:
    return layout.index.start - skeleton.LOCAL_HEADER_BYTES["index"] - skeleton.CONTENTS_START
