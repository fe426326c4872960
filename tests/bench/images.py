"""Series to send, new ones in every round: identifiers are written over in place, the rest stays as it is."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import count, cycle, islice
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

from dgis.demo import headers, kinds, phantoms
from dgis.demo.people import PEOPLE
from tests.corpus import corpus_root
from tests.tools import wire
from tests.tools.client import decode, encode

_ROOT = "2.25.999"
_TOKEN = f"{_ROOT}0000000"  # in every UID of a template; the digits become a number of their own
_DISTINCT = 40  # phantom slices that are drawn; a longer series shows them again
_PIXELS = b"\xe0\x7f\x10\x00"
_numbers = count(1)

SYNTHETIC = {"CT": kinds.CT, "MR": kinds.MR, "PT": kinds.PET}
REAL = {
    "CT abdomen": ("ct_abdomen_ge", "CT"),
    "CT chest": ("ct_chest_philips", "CT"),
    "PET": ("pet_wholebody_ge", "PT"),
    "MR": ("mr_fmri_ge", "MR"),
}
"""Series of the corpus, and the phantom that stands in where there is no corpus."""


@dataclass(frozen=True, slots=True)
class Image:
    """One instance as it goes over the wire."""

    sop_class_uid: str
    uid: str
    syntax: str
    dataset: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Series:
    """A series that can be made new again and again; `head` and `tail` of an image part at its pixels."""

    sop_class_uid: str
    syntax: str
    parts: tuple[tuple[str, bytes, bytes], ...] = field(repr=False)

    def fresh(self) -> "Sent":
        """Return it under identifiers nobody has seen."""
        token, own = _TOKEN.encode(), f"{_ROOT}{_unique():07}"
        return Sent(
            f"{own}1",
            f"{own}2",
            tuple(
                Image(
                    self.sop_class_uid,
                    uid.replace(_TOKEN, own),
                    self.syntax,
                    head.replace(token, own.encode()) + tail,
                )
                for uid, head, tail in self.parts
            ),
        )


@dataclass(frozen=True, slots=True)
class Sent:
    """A series under the identifiers it is sent with."""

    study_uid: str
    series_uid: str
    images: tuple[Image, ...] = field(repr=False)

    @property
    def size_bytes(self) -> int:
        """Bytes of its data sets."""
        return sum(len(image.dataset) for image in self.images)


def _unique() -> int:
    return next(_numbers)


@cache
def synthetic(modality: str, length: int) -> Series:
    """Return a phantom series: CT of 526 KB, MR of 133 KB, PT of 35 KB an image."""
    kind = SYNTHETIC[modality]
    drawn = [
        decode(each.dataset, wire.EXPLICIT)
        for each in phantoms.series(kind, PEOPLE[0], min(length, _DISTINCT))
    ]
    for number, dataset in enumerate(drawn):
        headers.place(dataset, kind, number + 1, length, "")
    return _series(drawn, length)


@cache
def real(name: str, length: int | None = None) -> Series:
    """Return a series of the corpus, shown again until it is `length` long; its phantom without a corpus."""
    folder, modality = REAL[name]
    root = corpus_root()
    if root is None:
        return synthetic(modality, length or 60)
    found = [dcmread(path) for path in sorted((root / "series" / folder).iterdir())]
    return _series(found, length or len(found))


def are_real() -> bool:
    """Whether there is a corpus."""
    return corpus_root() is not None


def write_files(images: Sequence[Image], folder: Path) -> list[Path]:
    """Write Part 10 files, for clients that send files."""
    folder.mkdir(parents=True, exist_ok=True)
    meta = {syntax: _meta(syntax) for syntax in {image.syntax for image in images}}
    paths = []
    for number, image in enumerate(images):
        path = folder / f"{number:05}.dcm"
        own = Dataset()
        own.add_new(0x00020002, "UI", image.sop_class_uid)
        own.add_new(0x00020003, "UI", image.uid)
        group = encode(own, wire.EXPLICIT) + meta[image.syntax]
        length = b"\x02\x00\x00\x00UL\x04\x00" + len(group).to_bytes(4, "little")
        path.write_bytes(bytes(128) + b"DICM" + length + group + image.dataset)
        paths.append(path)
    return paths


def _meta(syntax: str) -> bytes:
    rest = Dataset()
    rest.add_new(0x00020010, "UI", syntax)
    rest.add_new(0x00020012, "UI", "2.25.1")
    return encode(rest, wire.EXPLICIT)


def _series(found: Sequence[Dataset], length: int) -> Series:
    first = found[0]
    syntax = str(first.file_meta.TransferSyntaxUID)
    parts = tuple(
        _part(dataset, syntax, number) for number, dataset in enumerate(islice(cycle(found), length), 1)
    )
    return Series(str(first.SOPClassUID), syntax, parts)


def _part(dataset: Dataset, syntax: str, number: int) -> tuple[str, bytes, bytes]:
    uid = f"{_TOKEN}3{number:05}"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"{_TOKEN}1", f"{_TOKEN}2"
    dataset.SOPInstanceUID, dataset.InstanceNumber = uid, number
    raw = encode(dataset, syntax)
    at = raw.rfind(_PIXELS, 0, len(raw) - len(dataset.PixelData) + 1)
    return uid, raw[:at], raw[at:]
