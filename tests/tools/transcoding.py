"""Instances as the transcoder takes them, and data sets compared as pydicom reads them."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import _read_file_meta_info, read_preamble
from pydicom.filewriter import write_data_element, write_file_meta_info
from pydicom.uid import ImplicitVRLittleEndian

_WORD_BYTES = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}  # pydicom gives them as they lie
_REUSED_BYTES = 10_007  # odd, so that words and headers lie across pieces


@dataclass
class Lying:
    """An `Outgoing`; like the keyholder's, its pieces are one buffer that is filled again and again."""

    transfer_syntax: str
    data: bytes
    sop_class_uid: str = "1.2.840.10008.5.1.4.1.1.7"
    sop_instance_uid: str = "2.25.1"
    length: int | None = None

    def open(self) -> Iterator[memoryview]:
        buffer = bytearray(_REUSED_BYTES)
        for start in range(0, len(self.data), len(buffer)):
            piece = self.data[start : start + len(buffer)]
            buffer[: len(piece)] = piece
            yield memoryview(buffer)[: len(piece)]


def lying(path: Path) -> Lying | None:
    """The instance of a Part 10 file; None where the file has no meta information."""
    raw = path.read_bytes()
    stream = io.BytesIO(raw)
    if read_preamble(stream, force=True) is None:
        return None
    meta = _read_file_meta_info(stream)
    return Lying(str(meta.get("TransferSyntaxUID", ImplicitVRLittleEndian)), raw[stream.tell() :])


def part10(data: bytes, transfer_syntax: str) -> bytes:
    """A Part 10 file around a data set."""
    meta = Dataset()
    meta.TransferSyntaxUID = transfer_syntax
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    meta.MediaStorageSOPInstanceUID = "2.25.1"
    stream = io.BytesIO()
    write_file_meta_info(stream, meta)
    return b"\0" * 128 + b"DICM" + stream.getvalue() + data


def read(data: bytes, transfer_syntax: str) -> Dataset:
    """What pydicom makes of a data set."""
    return dcmread(io.BytesIO(part10(data, transfer_syntax)))


def differences(before: Dataset, after: Dataset, path: str = "", *, implicit: bool = False) -> list[str]:
    """Where two data sets differ, in tag paths; group lengths aside.

    Implicit form keeps no VR: what pydicom's dictionaries then say of an element is not what was sent, and
    its bytes are compared.
    """
    found = []
    tags = {tag for tag in (*before.keys(), *after.keys()) if tag.element}
    for tag in sorted(tags):
        name = f"{path}/{tag}"
        if (tag in before) != (tag in after):
            found.append(f"{name} only {'before' if tag in before else 'after'}")
            continue
        one, other = before[tag], after[tag]
        if one.VR == other.VR == "SQ":
            if len(one.value) != len(other.value):
                found.append(f"{name} items")
                continue
            for number, items in enumerate(zip(one.value, other.value, strict=True)):
                found += differences(*items, f"{name}[{number}]", implicit=implicit)
        elif not _alike(one, other, before, after, implicit=implicit):
            found.append(f"{name} {one.VR} {other.VR}")
    return found


def _alike(one, other, before: Dataset, after: Dataset, *, implicit: bool) -> bool:
    vrs = {one.VR, other.VR}
    if not implicit and len(vrs) > 1 and "UN" not in vrs and vrs != {"OB", "OW"}:
        return False
    width = _WORD_BYTES.get(one.VR)
    if width and isinstance(one.value, bytes) and _is_big_endian(before):
        return np.frombuffer(one.value, f">u{width}").astype(f"<u{width}").tobytes() == other.value
    return _bytes(one, before) == _bytes(other, after)


def _is_big_endian(dataset: Dataset) -> bool:
    return dataset.original_encoding[1] is False


def _bytes(element, dataset: Dataset) -> bytes:
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, True
    write_data_element(stream, element, dataset._character_set)
    return stream.getvalue()[8:].rstrip(b" \0")
