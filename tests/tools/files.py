"""DICOM files as senders see them: identity, transfer syntax, and the data set bytes behind the file meta."""

import warnings
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

from tests.tools import wire

BIG_ENDIAN = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"


@dataclass(frozen=True)
class File:
    """A file that can be stored: it names its class, its instance, and the series and study it belongs to."""

    path: Path | None
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax: str
    dataset: bytes = field(repr=False)


def read(path: Path) -> File | None:
    """Return the file as something to send; None where it is no instance (no class or instance UID)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        header = dcmread(path, force=True, stop_before_pixels=True)
    if not all(header.get(keyword) for keyword in ("SOPClassUID", "SOPInstanceUID")):
        return None
    return File(
        path,
        str(header.SOPClassUID),
        str(header.SOPInstanceUID),
        _syntax(header),
        dataset_bytes(path.read_bytes()),
    )


def belongs_to_a_series(dataset: bytes, syntax: str) -> bool:
    """Whether the data set names its study and its series: without them it has no place in the hierarchy."""
    header = parse(dataset, syntax)
    return bool(header.get("StudyInstanceUID") and header.get("SeriesInstanceUID"))


def dataset_bytes(raw: bytes) -> bytes:
    """Return what follows the file meta information (PS3.10 7.1)."""
    if raw[128:132] == b"DICM":
        start = 132
    elif raw[:4] == b"\x02\0\0\0":  # meta without preamble: some writers leave it out
        start = 0
    else:
        return raw
    length = int.from_bytes(raw[start + 8 : start + 12], "little")  # (0002,0000) UL 4 bytes
    return raw[start + 12 + length :]


def parse(dataset: bytes, syntax: str) -> Dataset:
    """Decode data set bytes of any transfer syntax."""
    meta = b"\x02\0\x10\0UI" + (len(syntax) + len(syntax) % 2).to_bytes(2, "little")
    meta += syntax.encode() + b"\0" * (len(syntax) % 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what pydicom thinks of real files is not this test's subject
        return dcmread(BytesIO(bytes(128) + b"DICM" + meta + dataset), force=True)


def _syntax(header: Dataset) -> str:
    named = header.file_meta.get("TransferSyntaxUID")
    if named:
        return str(named)
    implicit, little = header.original_encoding
    if implicit:
        return wire.IMPLICIT
    return wire.EXPLICIT if little else BIG_ENDIAN
