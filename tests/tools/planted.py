"""Instances with a canary in every corner of the data set where identity has been seen to hide."""

import struct
from dataclasses import dataclass, field

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, MRImageStorage, SecondaryCaptureImageStorage

from tests.tools import wire
from tests.tools.client import encode
from tests.tools.files import File

UID_ROOT = "1.2.826.0.1.3680043.10.31415.9265"
DAY = "17530608"  # nobody's day: no shift of a living patient's dates leads there
TIME = "031415.926535"  # may stay: only days move
_TEXT_VRS = ("SH", "LO", "ST", "LT", "UT", "UC", "PN", "AE")


@dataclass(frozen=True)
class Planted:
    """One instance to send, and every value that must not come out anywhere."""

    file: File
    canaries: frozenset[str] = field(repr=False)


class _Nest:
    """Hands out canaries and remembers them."""

    def __init__(self, label: str) -> None:
        self.label, self.handed = label, set()

    def word(self) -> str:
        return self._hand(f"KANARIE{self.label}{len(self.handed):03d}")

    def name(self) -> str:
        return self._hand(f"Kanárek{self.label}{len(self.handed):03d}^Żółty")

    def uid(self) -> str:
        return self._hand(f"{UID_ROOT}.{sum(map(ord, self.label))}.{len(self.handed)}")

    def _hand(self, value: str) -> str:
        self.handed.add(value)
        return value


def planted() -> list[Planted]:
    """Return a CT with native pixels, an MR with overlays, and an encapsulated JPEG with a comment in it."""
    return [_native("CT", CTImageStorage), _native("MR", MRImageStorage), _jpeg()]


def _native(label: str, sop_class: str) -> Planted:
    nest = _Nest(label)
    dataset = _base(nest, sop_class)
    pixels = np.arange(64 * 64, dtype="<u2").reshape(64, 64) % 4096
    hidden = nest.word().encode()  # behind the last pixel, inside the element
    dataset.add_new("PixelData", "OW", pixels.tobytes() + hidden + b"\0" * (len(hidden) % 2))
    if label == "MR":
        _overlay(dataset, nest)
    padding = nest.word().encode()
    dataset.add_new(0xFFFCFFFC, "OB", padding + b"\0" * (len(padding) % 2))
    return Planted(_file(dataset, sop_class, wire.EXPLICIT, encode(dataset, wire.EXPLICIT)), _all(nest))


def _jpeg() -> Planted:
    nest = _Nest("JPEG")
    dataset = _base(nest, SecondaryCaptureImageStorage)
    dataset.Modality = "MR"
    dataset.ConversionType = "SYN"
    comment = nest.word().encode()
    segment = b"\xff\xfe" + struct.pack(">H", 2 + len(comment)) + comment
    frame = b"\xff\xd8" + segment + b"\xff\xd9"
    frame += b"\0" * (len(frame) % 2)
    item = b"\xfe\xff\x00\xe0"
    value = item + bytes(4) + item + struct.pack("<I", len(frame)) + frame
    head = encode(dataset, wire.EXPLICIT)
    element = b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff" + value + b"\xfe\xff\xdd\xe0" + bytes(4)
    syntax = "1.2.840.10008.1.2.4.50"
    return Planted(_file(dataset, SecondaryCaptureImageStorage, syntax, head + element), _all(nest))


def _base(nest: _Nest, sop_class: str) -> Dataset:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = sop_class
    for keyword in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        setattr(dataset, keyword, nest.uid())
    dataset.PatientName = nest.name()
    dataset.PatientID, dataset.AccessionNumber, dataset.StudyID = nest.word(), nest.word(), nest.word()
    for keyword in ("PatientBirthDate", "StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"):
        setattr(dataset, keyword, DAY)
    dataset.StudyTime = TIME
    dataset.AcquisitionDateTime = DAY + TIME
    dataset.ReferringPhysicianName, dataset.OperatorsName = nest.name(), nest.name()
    dataset.InstitutionName, dataset.StudyDescription = nest.word(), nest.word()
    dataset.SeriesDescription, dataset.ProtocolName = nest.word(), nest.word()
    dataset.ImageComments, dataset.PatientComments = nest.word(), nest.word()
    dataset.Modality = {"CT": "CT"}.get(nest.label, "MR")
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.BurnedInAnnotation = "NO"
    dataset.InstanceNumber = 1
    dataset.ReferencedImageSequence = Sequence([_reference(nest)])
    dataset.RequestAttributesSequence = Sequence([_nested(nest, 3)])
    _private(dataset, nest)
    _unknown(dataset, nest)
    dataset.Rows = dataset.Columns = 64
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    if nest.label == "JPEG":
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    return dataset


def _reference(nest: _Nest) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = CTImageStorage
    item.ReferencedSOPInstanceUID = nest.uid()
    return item


def _nested(nest: _Nest, depth: int) -> Dataset:
    item = Dataset()
    item.RequestedProcedureID, item.RequestedProcedureDescription = nest.word(), nest.word()
    item.RequestingPhysician = nest.name()
    if depth:
        item.RequestedProcedureCodeSequence = Sequence([_nested(nest, depth - 1)])
    return item


def _private(dataset: Dataset, nest: _Nest) -> None:
    block = dataset.private_block(0x0019, nest.word(), create=True)
    for number, vr in enumerate(_TEXT_VRS):
        block.add_new(number, vr, nest.word())
    block.add_new(0x20, "DA", DAY)
    block.add_new(0x21, "UI", nest.uid())
    block.add_new(0x22, "UN", nest.word().encode())
    block.add_new(0x23, "OB", nest.word().encode("utf_16_le"))
    block.add_new(0x24, "SQ", Sequence([_nested(nest, 1)]))


def _unknown(dataset: Dataset, nest: _Nest) -> None:
    """Elements of no dictionary, of retired groups, and text hidden in binary elements."""
    dataset.add_new(0x00080F0F, "LO", nest.word())
    dataset.add_new(0x00100F0F, "UN", nest.word().encode().ljust(16))
    dataset.add_new(0x40000010, "LT", nest.word())  # retired text group
    dataset.add_new(0x50003000, "OW", nest.word().encode().ljust(16))  # retired curve data (50xx,3000)


def _overlay(dataset: Dataset, nest: _Nest) -> None:
    dataset.add_new(0x60000010, "US", 64)
    dataset.add_new(0x60000011, "US", 64)
    dataset.add_new(0x60000022, "LO", nest.word())
    dataset.add_new(0x60000040, "CS", "G")
    dataset.add_new(0x60000050, "SS", [1, 1])
    dataset.add_new(0x60000100, "US", 1)
    dataset.add_new(0x60000102, "US", 0)
    dataset.add_new(0x60003000, "OW", nest.word().encode().ljust(512))


def _file(dataset: Dataset, sop_class: str, syntax: str, raw: bytes) -> File:
    return File(None, sop_class, str(dataset.SOPInstanceUID), syntax, raw)


def _all(nest: _Nest) -> frozenset[str]:
    return frozenset({*nest.handed, DAY})
