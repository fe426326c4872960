"""Synthetic CT, MR and PET series as a modality would send them, the same bytes for the same seed."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO

from pydicom.dataset import Dataset
from pydicom.filebase import DicomFileLike
from pydicom.filewriter import write_dataset
from pydicom.uid import ExplicitVRLittleEndian

from dgis.demo import anatomy, headers
from dgis.demo.kinds import Kind, uid
from dgis.demo.people import Person


@dataclass(frozen=True, slots=True)
class Instance:
    """One image: its identity and its data set as it goes over the wire (no file meta information)."""

    sop_class_uid: str
    sop_instance_uid: str
    study_uid: str
    series_uid: str
    transfer_syntax: str
    dataset: bytes = field(repr=False)
    pixels: bytes = field(repr=False)


def series(kind: Kind, person: Person, count: int, seed: int = 1) -> Iterator[Instance]:
    """Yield one series of `count` images in instance order."""
    study_uid = uid(seed, person.patient_id, "study")
    series_uid = uid(seed, person.patient_id, kind.modality)
    header = headers.common(kind, person, study_uid, series_uid)
    for number, slice_ in enumerate(anatomy.slices(kind.scanner, count, seed), start=1):
        instance_uid = uid(seed, person.patient_id, kind.modality, number)
        headers.place(header, kind, number, count, instance_uid)
        pixels = slice_.tobytes()
        header.add_new("PixelData", "OW", pixels)
        yield Instance(
            sop_class_uid=kind.sop_class_uid,
            sop_instance_uid=instance_uid,
            study_uid=study_uid,
            series_uid=series_uid,
            transfer_syntax=ExplicitVRLittleEndian,
            dataset=encode(header),
            pixels=pixels,
        )


def encode(dataset: Dataset) -> bytes:
    """Return the data set in Explicit VR Little Endian."""
    buffer = BytesIO()
    file = DicomFileLike(buffer)
    file.is_implicit_VR, file.is_little_endian = False, True
    write_dataset(file, dataset)
    return buffer.getvalue()
