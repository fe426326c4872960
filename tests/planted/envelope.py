"""Hiding places around the data set and between its elements: preamble, file meta, what stands twice."""

import struct
from collections.abc import Callable

from tests.planted.instance import Instance
from tests.planted.private import packed
from tests.planted.raw import DEFLATED, IMPLICIT, Field, element


def preamble(one: Instance) -> None:
    one.preamble = b"II*\0" + one.planter.word("preamble").encode()


def file_meta(one: Instance) -> None:
    planter = one.planter
    one.meta = {
        0x00020012: Field("UI", planter.uid("ImplementationClassUID")),
        0x00020013: Field("SH", planter.word("ImplementationVersionName", 16)),
        0x00020016: Field("AE", planter.plain("SourceApplicationEntityTitle")),
        0x00020017: Field("AE", planter.plain("SendingApplicationEntityTitle")),
        0x00020018: Field("AE", planter.plain("ReceivingApplicationEntityTitle")),
        0x00020026: Field("UR", "dicom:" + planter.word("SourcePresentationAddress").replace(" ", "")),
        0x00020027: Field("UR", planter.plain("SendingPresentationAddress")),
        0x00020028: Field("UR", planter.plain("ReceivingPresentationAddress")),
        0x00020100: Field("UI", planter.uid("PrivateInformationCreatorUID")),
        0x00020102: Field("OB", packed(planter, "PrivateInformation")),
        0x00020F0E: Field("LO", planter.word("unknown file meta")),
    }
    planter.canaries = [one for one in planter.canaries if one.place != "SourcePresentationAddress"]


def behind_the_data_set(one: Instance) -> None:
    one.tail = one.planter.word("behind the data set").encode()


def behind_the_pixels(one: Instance) -> None:
    """Elements behind the pixels, in order and out of it."""
    planter = one.planter
    one.add({0x7FE10010: Field("LO", planter.word("creator behind the pixels"))})
    one.add({0x7FE11001: Field("OB", planter.word("private behind the pixels").encode())})
    one.add({0xFFFCFFFC: Field("OB", packed(planter, "padding"))})
    one.behind = element(0x00100010, "PN", planter.name("out of order")) + element(
        0x00204000, "LT", planter.word("out of order")
    )


def twice(one: Instance) -> None:
    """Elements that stand twice: readers disagree about which of them counts."""
    planter = one.planter
    found = b"".join(
        element(tag, vr, planter.value(vr, "twice"))
        for tag, vr in (
            (0x00080018, "UI"),
            (0x00100010, "PN"),
            (0x00100020, "LO"),
            (0x00180050, "DS"),
            (0x0020000D, "UI"),
        )
    )
    one.dataset.pop(0x7FE00010)
    one.behind = found


def behind_a_deflated_data_set(one: Instance) -> None:
    one.syntax = DEFLATED
    one.tail = one.planter.word("behind a deflated data set").encode()


def wrong_meta(one: Instance) -> None:
    """File meta information of another instance, and a syntax that is not that of the data set."""
    planter = one.planter
    one.meta = {0x00020003: Field("UI", planter.uid("MediaStorageSOPInstanceUID"))}
    one.meta[0x00020010] = Field("UI", IMPLICIT)
    one.dataset.pop(0x7FE00010)
    one.add({0x00104000: Field("LT", planter.word("PatientComments"))})


def sequences_in_unknown(one: Instance) -> None:
    """Known sequences carried as UN, with open and stated lengths (PS3.5 6.2.2)."""
    planter = one.planter
    inner = {0x00100010: Field("PN", planter.name("in UN")), 0x00400007: Field("LO", planter.word("in UN"))}
    for tag in (0x00400275, 0x52009229, 0x00081140, 0x00091044):
        one.add({tag: Field("UN", [inner])})
    raw = element(0x52009230, "SQ", [inner])[12:]
    one.add({0x52009230: Field("UN", raw)})


def sequence_that_is_none(one: Instance) -> None:
    one.add({0x00089215: Field("UN", packed(one.planter, "sequence that is none"))})


def class_carrier(one: Instance) -> None:
    """A private SOP class that is the number of somebody."""
    one.sop_class = one.planter.uid("SOPClassUID", "1.2.840.113619.4")
    one.add({0x00080016: Field("UI", one.sop_class)})


def acquisition_header(one: Instance) -> None:
    """A Siemens CSA header: text in tags that hold numbers, between the texts, in the protocol behind it."""
    planter = one.planter
    one.add({0x00290010: Field("LO", "SIEMENS CSA HEADER"), 0x00291008: Field("CS", "IMAGE NUM 4")})
    image = {
        "B_value": ["1000", planter.plain("CSA B_value")],
        "DiffusionGradientDirection": ["0.6", "-0.8", "0.0"],
        "NumberOfImagesInMosaic": [planter.plain("CSA mosaic")],
        "PatientName": [planter.name("CSA PatientName")],
        "ImaCoilString": [planter.word("CSA coil")],
        planter.plain("CSA tag name"): ["1"],
        "MosaicRefAcqTimes": ["0.0", "1450.0"],
    }
    junk = planter.plain("CSA memory").encode()
    protocol = (
        f"### ASCCONV BEGIN ###\ntPatientName = {planter.name('CSA protocol')}\n### ASCCONV END ###".encode()
    )
    one.add(
        {0x00291010: Field("OB", _csa(image, junk)), 0x00291020: Field("OB", _csa(image, junk) + protocol)}
    )
    one.add({0x00291018: Field("CS", "MR"), 0x00291009: Field("LO", planter.date("CSA version"))})


def _csa(tags: dict[str, list[str]], junk: bytes) -> bytes:
    """Write a header of the form CSA2; `junk` is what lay in memory behind names and texts."""
    found = [b"SV10\4\3\2\1" + struct.pack("<II", len(tags), 77)]
    for name, texts in tags.items():
        padded = (name.encode() + b"\0" + junk * 6)[:64]
        found.append(struct.pack("<64si4siii", padded, len(texts), b"FD\0\0", 4, 6, 77))
        for place in range(6):
            text = texts[place].encode() + b"\0" + junk if place < len(texts) else b""
            found.append(
                struct.pack("<4i", len(text), len(text), 77, len(text)) + text + bytes(-len(text) % 4)
            )
    return b"".join(found) + bytes(4)


PLACES: tuple[Callable[[Instance], None], ...] = (
    *(preamble, file_meta, behind_the_data_set, behind_the_pixels, twice, behind_a_deflated_data_set),
    *(wrong_meta, sequences_in_unknown, sequence_that_is_none, class_carrier, acquisition_header),
)
