"""Instances and records for the tests; nothing here reads or writes files."""

from dataclasses import replace

import numpy as np

from storage_nodes.names import RecordKey
from storage_nodes.record.reader import RecordReader
from storage_nodes.record.sources import BufferSource
from storage_nodes.record.values import FrameLayout, PixelElement, RecordInstance
from storage_nodes.record.writer import write_record

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
PIXEL_DATA = 0x7FE00010


def header(number: int, size: int = 0) -> bytes:
    """An Explicit VR Little Endian LO element that differs by instance, made longer by `size` bytes of UN."""
    text = f"instance {number:05d} ".encode()
    element = b"\x20\x00\x00\x40LO" + len(text).to_bytes(2, "little") + text
    if size:
        element += b"\x20\x00\x01\x40UN\0\0" + size.to_bytes(4, "little") + bytes(size)
    return element


def layout_of(frame: np.ndarray, **changes) -> FrameLayout:
    """What a header would say of (rows, columns), (rows, columns, 3) or, planar=1, (3, rows, columns)."""
    samples = 1 if frame.ndim == 2 else 3
    rows, columns = frame.shape[-2:] if changes.get("planar") else frame.shape[:2]
    bits = frame.dtype.itemsize * 8
    layout = FrameLayout(
        rows=rows,
        columns=columns,
        samples=samples,
        bits_allocated=bits,
        bits_stored=bits,
        high_bit=bits - 1,
        signed=frame.dtype.kind == "i",
        planar=0,
        photometric="MONOCHROME2" if samples == 1 else "RGB",
    )
    return replace(layout, **changes)


def native(number: int, *frames: np.ndarray, **changes) -> RecordInstance:
    """An instance of native frames, each little endian."""
    payloads = [frame.astype(frame.dtype.newbyteorder("<")).tobytes() for frame in frames]
    return of_payloads(number, payloads, layout_of(frames[0], **changes))


def of_payloads(number: int, payloads, layout: FrameLayout | None) -> RecordInstance:
    """An instance of native payloads of any kind."""
    pixel = PixelElement(PIXEL_DATA, "OW", False, b"", layout, payloads)
    return RecordInstance(f"2.25.{number + 1}", CT, EXPLICIT, header(number), b"", pixel)


def encapsulated(number: int, fragments, offset_table: bytes = b"", after: bytes = b"") -> RecordInstance:
    """An instance of fragments."""
    pixel = PixelElement(PIXEL_DATA, "OB", True, offset_table, None, fragments)
    return RecordInstance(f"2.25.{number + 1}", CT, JPEG_BASELINE, header(number), after, pixel)


def without_pixels(number: int, size: int = 0) -> RecordInstance:
    """An instance that has no pixel element."""
    return RecordInstance(f"2.25.{number + 1}", CT, EXPLICIT, header(number, size), b"", None)


def smooth(rows: int, columns: int, kind: str = "<i2", seed: int = 0) -> np.ndarray:
    """An image as scanners make them: slopes with a little noise."""
    noise = np.random.default_rng(seed).integers(0, 8, (rows, columns))
    slopes = np.add.outer(np.arange(rows) * 3, np.arange(columns) * 2)
    return ((slopes + noise) % 128).astype(kind)


def pack(*instances: RecordInstance, about=None, executor=None):
    """The packed record."""
    return write_record(RecordKey("test.0"), instances, manifest=about or {}, executor=executor)


def packed_bytes(*instances: RecordInstance) -> bytes:
    """The bytes of the packed record."""
    return b"".join(pack(*instances).body)


def reader_of(*instances: RecordInstance) -> RecordReader:
    """A reader over the packed record."""
    return RecordReader(BufferSource(packed_bytes(*instances)))


def assert_equal(reader: RecordReader, instances) -> None:
    """Every header, payload and data set as it went in."""
    assert [entry.sop_instance_uid for entry in reader.instances] == [i.sop_instance_uid for i in instances]
    for number, (entry, instance) in enumerate(zip(reader.instances, instances, strict=True)):
        assert entry.sop_class_uid == instance.sop_class_uid
        assert entry.transfer_syntax == instance.transfer_syntax
        assert reader.before_after(number) == (instance.before, instance.after)
        payloads = [] if instance.pixel is None else instance.pixel.payloads
        assert entry.payloads == len(payloads)
        for place, payload in enumerate(payloads):
            assert bytes(reader.payload(number, place)) == bytes(payload)
        assert sum(map(len, reader.dataset(number))) == reader.dataset_length(number)
