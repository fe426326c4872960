"""Ultrasound clips and captures of invented patients whose names are drawn into the pixels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import imagecodecs
import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from dgis.demo.kinds import uid
from dgis.demo.phantoms import encode
from tests.tools import wire

US_MULTIFRAME = "1.2.840.10008.5.1.4.1.1.3.1"
US = "1.2.840.10008.5.1.4.1.1.6.1"
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
JPEG = "1.2.840.10008.1.2.4.50"
ROWS, COLUMNS = 96, 128
TEXT = (4, 2, 100, 9)  # x, y, width, height of where the name is drawn
NAME = "DOE JANE"

_GLYPHS = {
    "D": "11110 10001 10001 10001 10001 10001 11110",
    "O": "01110 10001 10001 10001 10001 10001 01110",
    "E": "11111 10000 10000 11110 10000 10000 11111",
    "J": "00111 00010 00010 00010 00010 10010 01100",
    "A": "01110 10001 10001 11111 10001 10001 10001",
    "N": "10001 11001 10101 10011 10001 10001 10001",
    " ": "00000 00000 00000 00000 00000 00000 00000",
}


@dataclass(frozen=True)
class Burned:
    """One instance: its identity, its data set as it goes over the wire, and its pixels.

    `pixels` has shape (frames, rows, columns) or (frames, rows, columns, samples).
    """

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax: str
    dataset: bytes = field(repr=False)
    pixels: np.ndarray = field(repr=False)


def with_name(shape: tuple[int, ...], most: int = 200, seed: int = 1) -> np.ndarray:
    """Noise with the name drawn into every frame, brighter than anything else."""
    image = np.random.default_rng(seed).integers(1, most, shape)
    x, y, _width, _height = TEXT
    for place, letter in enumerate(NAME):
        for row, line in enumerate(_GLYPHS[letter].split()):
            for column, bit in enumerate(line):
                if bit == "1":
                    image[:, y + 1 + row, x + 1 + 12 * place + column] = most
    return image


def shows_name(frame: np.ndarray, most: int = 200) -> bool:
    """Whether a frame still shows the strokes of the name."""
    drawn = with_name((1, *frame.shape), most)[0] == most
    return bool((frame[drawn] == most).all())


def instance(
    number: int = 1,
    *,
    patient: str = "MRN-7731",
    sop_class: str = US_MULTIFRAME,
    frames: int = 1,
    samples: int = 1,
    jpeg: bool = False,
    change: Callable[[Dataset], None] = lambda _dataset: None,
) -> Burned:
    """Return one instance of a patient's only series; colour ones of JPEG are lossy."""
    shape = (frames, ROWS, COLUMNS) if samples == 1 else (frames, ROWS, COLUMNS, samples)
    pixels = with_name(shape, seed=number).astype(np.uint8)
    found = _header(number, patient, sop_class, pixels)
    if jpeg:
        _compress(found, pixels)
    else:
        found.add_new("PixelData", "OB", pixels.tobytes())
    change(found)
    syntax = JPEG if jpeg else wire.EXPLICIT
    return Burned(sop_class, str(found.SOPInstanceUID), syntax, encode(found), pixels)


def series(count: int, **options: object) -> Sequence[Burned]:
    """Return the instances of one series."""
    return [instance(number, **options) for number in range(1, count + 1)]


def _header(number: int, patient: str, sop_class: str, pixels: np.ndarray) -> Dataset:
    found = Dataset()
    found.SOPClassUID = sop_class
    found.SOPInstanceUID = uid(1, patient, "burned", number)
    found.StudyInstanceUID = uid(1, patient, "burned study")
    found.SeriesInstanceUID = uid(1, patient, "burned series")
    found.PatientName, found.PatientID = "Doe^Jane", patient
    found.PatientBirthDate, found.PatientSex = "19601224", "F"
    found.StudyDate, found.StudyTime = "20210305", "101112"
    found.Modality = "OT" if sop_class == SECONDARY_CAPTURE else "US"
    found.Manufacturer, found.ManufacturerModelName = "Acme Medical", "Sonoscape 9000"
    found.SeriesNumber, found.InstanceNumber = 1, number
    found.BurnedInAnnotation = "YES"
    if sop_class == US_MULTIFRAME:
        found.NumberOfFrames = len(pixels)
    found.Rows, found.Columns = pixels.shape[1:3]
    found.SamplesPerPixel = pixels.shape[3] if pixels.ndim == 4 else 1
    found.PhotometricInterpretation = "RGB" if pixels.ndim == 4 else "MONOCHROME2"
    if pixels.ndim == 4:
        found.PlanarConfiguration = 0
    found.BitsAllocated = found.BitsStored = 8
    found.HighBit, found.PixelRepresentation = 7, 0
    return found


def _compress(found: Dataset, pixels: np.ndarray) -> None:
    if pixels.ndim == 4:
        found.PhotometricInterpretation = "YBR_FULL_422"
    coded = [imagecodecs.jpeg8_encode(frame, level=90) for frame in pixels]
    found.add_new("PixelData", "OB", encapsulate(coded))
    found["PixelData"].is_undefined_length = True
