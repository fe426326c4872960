"""What the frozen records of `tests/vectors/record-v1` were made from, and how a later version makes its own.

`python -m tests.unit.storage_nodes.record.vectors FOLDER` writes records and what they hold. A folder that is
committed is never written again: its bytes are what old installations have on their nodes.
"""

import hashlib
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from storage_nodes.names import RecordKey
from storage_nodes.record.reader import RecordReader
from storage_nodes.record.sources import BufferSource
from storage_nodes.record.values import PixelElement, RecordInstance
from storage_nodes.record.writer import PackedRecord, write_record
from tests.unit.storage_nodes.record.builders import (
    EXPLICIT,
    encapsulated,
    header,
    native,
    of_payloads,
    without_pixels,
)


def noise(seed: int, *shape: int) -> np.ndarray:
    """The same bytes with every version of every library."""
    data = hashlib.shake_256(seed.to_bytes(4, "big")).digest(int(np.prod(shape)))
    return np.frombuffer(data, "u1").reshape(shape)


def image(seed: int, rows: int, columns: int, kind: str) -> np.ndarray:
    """Slopes with a little noise, as scanners make them."""
    slopes = np.add.outer(np.arange(rows) * 3, np.arange(columns) * 2)
    return ((slopes + noise(seed, rows, columns) % 8) % 128).astype(kind)


def colour(seed: int) -> np.ndarray:
    """An image of 48 rows and 70 columns, by pixel."""
    return np.stack([image(seed + n, 48, 70, "u1") for n in range(3)], axis=2)


def planes(seed: int) -> np.ndarray:
    """The same by plane."""
    return np.ascontiguousarray(np.moveaxis(colour(seed), 2, 0))


def garbage_above(frame: np.ndarray) -> np.ndarray:
    """A 12-bit image with something in a highest bit."""
    return np.where(np.arange(frame.size).reshape(frame.shape) == 100, frame | 0x8000, frame)


def _parametric_map() -> RecordInstance:
    values = np.linspace(0, 1, 40 * 40, dtype="<f4").tobytes()
    pixel = PixelElement(0x7FE00008, "OF", False, b"", None, [values])
    return RecordInstance("2.25.108", "1.2.840.10008.5.1.4.1.1.30", EXPLICIT, header(8), b"", pixel)


VECTORS = {
    "ct": [
        replace(native(n, image(n, 256, 256, "<i2") - 64), sop_instance_uid=f"2.25.{2**127 + n}")
        for n in range(2)
    ],
    "kinds": [
        native(0, image(10, 64, 64, "<u2"), image(11, 64, 64, "<u2"), bits_stored=12, high_bit=11),
        native(1, garbage_above(image(12, 64, 64, "<u2")), bits_stored=12, high_bit=11),
        native(2, image(13, 70, 3, "i1"), bits_stored=7, high_bit=6),
        native(3, colour(20)),
        native(4, planes(30), planar=1),
        native(5, planes(40), planar=1, photometric="YBR_FULL"),
        native(6, noise(50, 33, 31), photometric="PALETTE COLOR"),
        of_payloads(7, [bytes(range(256)) * 3], None),
        _parametric_map(),
        native(9, image(60, 40, 40, "<u4")),
        replace(native(10, image(61, 80, 90, "u1")), sop_instance_uid="1.2.3.04.5"),
    ],
    "fragments": [
        encapsulated(0, [b"\xff\xd8" + noise(70, 500).tobytes() + b"\xff\xd9"], b"\0\0\0\0"),
        encapsulated(1, [noise(71, 301).tobytes(), b"", noise(72, 8).tobytes()], bytes(12), after=header(99)),
        encapsulated(2, []),
    ],
    "headers": [
        without_pixels(0, size=700_000),
        without_pixels(1, size=400_000),
        without_pixels(2, size=1_200_000),
        replace(without_pixels(3), sop_class_uid="1.2.840.10008.5.1.4.1.1.88.11", before=b""),
        of_payloads(4, [], None),
        of_payloads(5, [b""], None),
    ],
}
ABOUT = {"edition": "2024b", "series": [1, 2.5, None, True, "ü"]}


def make(name: str) -> PackedRecord:
    """Pack one of them."""
    return write_record(RecordKey(f"vector.{name}"), VECTORS[name], manifest=ABOUT)


def sha256(*pieces) -> str:
    """Hash pieces as one."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def contents(reader: RecordReader) -> dict:
    """Everything that a reader must find in a record, as JSON."""
    return {
        "key": reader.manifest.key,
        "about": reader.manifest.about,
        "writer": reader.manifest.writer,
        "instances": [
            {
                "sop_instance_uid": entry.sop_instance_uid,
                "sop_class_uid": entry.sop_class_uid,
                "transfer_syntax": entry.transfer_syntax,
                "before": sha256(reader.header(n)[0]),
                "offset_table": reader.header(n)[1].hex(),
                "after": sha256(reader.header(n)[2]),
                "dataset": sha256(*reader.dataset(n)),
                "dataset_bytes": reader.dataset_length(n),
                "element": None if entry.element is None else asdict(entry.element),
                "payloads": [_payload(reader, n, place) for place in range(entry.payloads)],
            }
            for n, entry in enumerate(reader.instances)
        ],
    }


def _payload(reader: RecordReader, instance: int, number: int) -> dict:
    lies = reader.codestream(instance, number)
    return {
        "codec": lies.codec.name.lower(),
        "as_it_lies": sha256(lies.data),
        "decoded": sha256(reader.payload(instance, number)),
        "bytes": lies.decoded_bytes,
        "served_as": None if lies.served_as is None else asdict(lies.served_as),
    }


def main(folder: Path) -> None:
    """Write all of them to a new folder."""
    folder.mkdir(parents=True)
    for name in VECTORS:
        packed = make(name)
        body = b"".join(packed.body)
        (folder / f"{name}.zip").write_bytes(body)
        expected = {"sha256": packed.sha256.hex(), **contents(RecordReader(BufferSource(body)))}
        (folder / f"{name}.json").write_text(json.dumps(expected, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
