"""One planted instance on its way into a file, and the people and studies that instances are about."""

import random
import struct
import zlib
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.planted.canaries import Canary, Patient, Planter
from tests.planted.raw import BIG, DEFLATED, EXPLICIT, IMPLICIT, Dataset, Field, Form, Part10, encoded

CT, MR, PET = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.128"


class Study(NamedTuple):
    """UIDs and day of a study, and the frame of reference its series share."""

    patient: Patient
    uid: str
    series: tuple[str, ...]
    frame_of_reference: str
    accession: str
    day: str


class Target(NamedTuple):
    """An instance that others refer to."""

    study: str
    series: str
    instance: str


@dataclass
class Instance:
    """What will be written: elements by tag, how they are encoded, and what lies around the data set."""

    planter: Planter
    study: Study
    series: str
    uid: str
    sop_class: str
    dataset: dict[int, Field]
    form: Form = field(default_factory=Form)
    syntax: str = EXPLICIT
    preamble: bytes = bytes(128)
    meta: dict[int, Field] = field(default_factory=dict)
    behind: bytes = b""
    tail: bytes = b""
    targets: tuple[Target, ...] = ()

    def add(self, elements: Dataset) -> None:
        self.dataset.update(elements)

    def refer(self, targets: tuple[Target, ...]) -> None:
        """Refer to instances of other studies and series (PS3.3 10.3, C.12.1)."""
        self.targets = targets
        items = [
            {
                0x0020000D: Field("UI", target.study),
                0x0020000E: Field("UI", target.series),
                0x00081199: Field("SQ", [_reference(CT, target.instance)]),
                0x00081140: Field("SQ", [_reference(CT, target.instance)]),
            }
            for target in targets
        ]
        if items:
            self.add({0x00081115: Field("SQ", items), 0x00081200: Field("SQ", items)})

    def become(self, sop_class: str, modality: str) -> None:
        """Be of another class, without pixels."""
        self.sop_class = sop_class
        self.add({0x00080016: Field("UI", sop_class), 0x00080060: Field("CS", modality)})
        for tag in [*PIXEL_MODULE, 0x7FE00010]:
            self.dataset.pop(tag, None)

    def vary(self) -> None:
        """Be written in any of the uncompressed syntaxes, with open lengths or stated ones."""
        random = self.planter.random
        self.form = Form(undefined=random.random() < 0.5)
        self.syntax = random.choice((EXPLICIT, EXPLICIT, IMPLICIT, BIG, DEFLATED))
        pixels = self.dataset.get(0x7FE00010)
        if self.syntax == BIG and pixels is not None:
            words = struct.unpack(f"<{len(pixels.value) // 2}H", pixels.value[: len(pixels.value) // 2 * 2])
            self.add({0x7FE00010: Field("OW", tuple(words))})

    def written(self) -> bytes:
        form = self.form if self.syntax in {EXPLICIT, DEFLATED} else self.form._replace(syntax=self.syntax)
        if form.syntax not in {"1.2.840.10008.1.2", "1.2.840.10008.1.2.2"}:
            form = form._replace(syntax=EXPLICIT)
        body = encoded(self.dataset, form) + self.behind
        if self.syntax == DEFLATED:
            deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
            body = deflater.compress(body) + deflater.flush()
            body += bytes(len(body) % 2)
        syntax = form.syntax if self.syntax == EXPLICIT else self.syntax
        return Part10(body, self.sop_class, self.uid, syntax, self.preamble, self.meta, self.tail).written()


PIXEL_MODULE = {
    0x00280002: Field("US", (1,)),
    0x00280004: Field("CS", "MONOCHROME2"),
    0x00280010: Field("US", (16,)),
    0x00280011: Field("US", (16,)),
    0x00280100: Field("US", (16,)),
    0x00280101: Field("US", (12,)),
    0x00280102: Field("US", (11,)),
    0x00280103: Field("US", (0,)),
}


def native_pixels(seed: int, count: int = 256, most: int = 4096) -> bytes:
    """Return 16-bit pixels that are an image of nothing."""
    draw = random.Random(seed)
    return struct.pack(f"<{count}H", *(draw.randrange(most) for _ in range(count)))


def instance(planter: Planter, study: Study, group: int, uid: str, sop_class: str = CT) -> Instance:
    """Return a small image with the identity every image has; `group` chooses its series."""
    patient = study.patient
    series = study.series[group // 6 % len(study.series)]
    referring = planter.name("ReferringPhysicianName")
    dataset = {
        0x00080008: Field("CS", "ORIGINAL\\PRIMARY\\AXIAL"),
        0x00080016: Field("UI", sop_class),
        0x00080018: Field("UI", uid),
        **{tag: Field("DA", study.day) for tag in (0x00080020, 0x00080021, 0x00080022, 0x00080023)},
        0x0008002A: Field("DT", f"{study.day}101112.000000+0100"),
        0x00080030: Field("TM", "101112"),
        0x00080050: Field("SH", study.accession),
        0x00080060: Field("CS", {CT: "CT", PET: "PT"}.get(sop_class, "MR")),
        0x00080080: Field("LO", planter.word("InstitutionName")),
        0x00080090: Field("PN", referring),
        0x00081030: Field("LO", planter.word("StudyDescription")),
        0x0008103E: Field("LO", planter.word("SeriesDescription")),
        0x00081140: Field("SQ", [_reference(CT, study.uid + ".1")]),
        0x00100010: Field("PN", patient.name),
        0x00100020: Field("LO", patient.identifier),
        0x00100030: Field("DA", patient.birth_date),
        0x00100040: Field("CS", "F"),
        0x00180050: Field("DS", "1.5"),
        0x0020000D: Field("UI", study.uid),
        0x0020000E: Field("UI", series),
        0x00200010: Field("SH", study.accession),
        0x00200013: Field("IS", str(group)),
        0x00200032: Field("DS", f"0\\0\\{group}"),
        0x00200037: Field("DS", "1\\0\\0\\0\\1\\0"),
        0x00200052: Field("UI", study.frame_of_reference),
        **PIXEL_MODULE,
        0x00280030: Field("DS", "0.5\\0.5"),
        0x7FE00010: Field("OW", native_pixels(group)),
    }
    return Instance(planter, study, series, uid, sop_class, dataset)


def _reference(sop_class: str, uid: str) -> Dataset:
    return {0x00081150: Field("UI", sop_class), 0x00081155: Field("UI", uid)}


def people(seed: int) -> tuple[list[Study], list[Canary]]:
    """Return two studies of each of three patients, and what names them."""
    planter = Planter(f"{seed} people", "every file")
    studies: list[Study] = []
    for _ in range(3):
        patient = Patient(
            planter.name("PatientName"),
            planter.number("PatientID"),
            planter.date("PatientBirthDate"),
            (planter.date("StudyDate"), planter.date("StudyDate")),
        )
        studies += [_study(planter, patient, day) for day in patient.days]
    return studies, planter.canaries


def _study(planter: Planter, patient: Patient, day: str) -> Study:
    return Study(
        patient,
        planter.uid("StudyInstanceUID"),
        (planter.uid("SeriesInstanceUID"), planter.uid("SeriesInstanceUID")),
        planter.uid("FrameOfReferenceUID"),
        planter.word("AccessionNumber", 16),
        day,
    )
