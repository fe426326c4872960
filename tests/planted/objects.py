"""Hiding places in what is no image: presentations, contours, curves, documents."""

import struct
from collections.abc import Callable

from tests.planted.instance import Instance
from tests.planted.raw import Field
from tests.planted.reports import SR, code

_PRESENTATION = "1.2.840.10008.5.1.4.1.1.11.1"
_SEGMENTATION, _STRUCTURES, _PLAN = (
    "1.2.840.10008.5.1.4.1.1.66.4",
    "1.2.840.10008.5.1.4.1.1.481.3",
    "1.2.840.10008.5.1.4.1.1.481.5",
)
_ECG, _REGISTRATION = "1.2.840.10008.5.1.4.1.1.9.1.1", "1.2.840.10008.5.1.4.1.1.66.1"
_DOCUMENTS = {
    "pdf": "1.2.840.10008.5.1.4.1.1.104.1",
    "cda": "1.2.840.10008.5.1.4.1.1.104.2",
    "stl": "1.2.840.10008.5.1.4.1.1.104.3",
}


def presentation(one: Instance) -> None:
    planter = one.planter
    one.become(_PRESENTATION, "PR")
    text = {
        0x00700006: Field("ST", planter.word("UnformattedTextValue")),
        0x00700003: Field("CS", "PIXEL"),
        0x00700014: Field("FL", (1.0, 2.0)),
        0x00700227: Field("LO", planter.word("font")),
        0x00700229: Field("LO", planter.word("CSSFontName")),
    }
    graphic = {
        0x00700022: Field("FL", planter.plain("GraphicData").encode().ljust(16)),
        0x00700023: Field("CS", "POLYLINE"),
    }
    annotation = {
        0x00700002: Field("CS", planter.plain("GraphicLayer")),
        0x00700008: Field("SQ", [text]),
        0x00700009: Field("SQ", [graphic]),
    }
    layer = {
        0x00700002: Field("CS", planter.plain("GraphicLayer")),
        0x00700068: Field("LO", planter.word("GraphicLayerDescription")),
    }
    one.add(
        {
            0x00700001: Field("SQ", [annotation]),
            0x00700060: Field("SQ", [layer]),
            0x00700080: Field("CS", planter.plain("ContentLabel")),
            0x00700081: Field("LO", planter.word("ContentDescription")),
            0x00700082: Field("DA", planter.date("PresentationCreationDate")),
            0x00700084: Field("PN", planter.name("ContentCreatorName")),
            0x00700087: Field("SQ", [{0x00700081: Field("LO", planter.word("AlternateContentDescription"))}]),
            0x00283010: Field("SQ", [{0x00283003: Field("LO", planter.word("LUTExplanation"))}]),
            0x00081115: Field("SQ", [{0x0020000E: Field("UI", planter.uid("presented series"))}]),
            0x00700307: Field("SQ", [{0x00700308: Field("UT", planter.word("compound graphic"))}]),
        }
    )


def segmentation(one: Instance) -> None:
    planter = one.planter
    one.sop_class = _SEGMENTATION
    segment = {
        0x00620004: Field("US", (1,)),
        0x00620005: Field("LO", planter.word("SegmentLabel")),
        0x00620006: Field("ST", planter.word("SegmentDescription")),
        0x00620008: Field("CS", "MANUAL"),
        0x00620009: Field("LO", planter.word("SegmentAlgorithmName")),
        0x0062000F: Field("SQ", [code(planter.word("segment", 16), "99SEG", planter.word("segment"))]),
        0x00620020: Field("UT", planter.word("TrackingID")),
        0x00620021: Field("UI", planter.uid("TrackingUID")),
        0x00660036: Field("LO", planter.word("AlgorithmName")),
    }
    one.add(
        {
            0x00080016: Field("UI", _SEGMENTATION),
            0x00080060: Field("CS", "SEG"),
            0x00620001: Field("CS", "BINARY"),
            0x00620002: Field("SQ", [segment]),
            0x00209221: Field("SQ", [{0x00209164: Field("UI", planter.uid("DimensionOrganizationUID"))}]),
            0x00209222: Field("SQ", [{0x00209421: Field("LO", planter.word("DimensionDescriptionLabel"))}]),
            0x00700080: Field("CS", planter.plain("ContentLabel")),
            0x00700084: Field("PN", planter.name("ContentCreatorName")),
        }
    )


def structures(one: Instance) -> None:
    planter = one.planter
    one.become(_STRUCTURES, "RTSTRUCT")
    roi = {
        0x30060022: Field("IS", "1"),
        0x30060024: Field("UI", planter.uid("ROI frame of reference")),
        0x30060026: Field("LO", planter.word("ROIName")),
        0x30060028: Field("ST", planter.word("ROIDescription")),
        0x30060036: Field("CS", planter.plain("ROIGenerationAlgorithm")),
        0x30060038: Field("LO", planter.word("ROIGenerationDescription")),
    }
    contour = {
        0x30060042: Field("CS", "POINT"),
        0x30060046: Field("IS", "1"),
        0x30060050: Field("DS", planter.plain("ContourData")),
    }
    observation = {
        0x30060085: Field("SH", planter.word("ROIObservationLabel", 16)),
        0x30060088: Field("ST", planter.word("ROIObservationDescription")),
        0x300600A4: Field("CS", planter.plain("RTROIInterpretedType")),
        0x300600A6: Field("PN", planter.name("ROIInterpreter")),
        0x300600B0: Field("SQ", [{0x300600B2: Field("SH", planter.word("ROIPhysicalProperty", 16))}]),
    }
    one.add(
        {
            0x30060002: Field("SH", planter.word("StructureSetLabel", 16)),
            0x30060004: Field("LO", planter.word("StructureSetName")),
            0x30060006: Field("ST", planter.word("StructureSetDescription")),
            0x30060008: Field("DA", planter.date("StructureSetDate")),
            0x30060020: Field("SQ", [roi]),
            0x30060039: Field("SQ", [{0x30060040: Field("SQ", [contour]), 0x30060084: Field("IS", "1")}]),
            0x30060080: Field("SQ", [observation]),
            0x300E0008: Field("PN", planter.name("ReviewerName")),
        }
    )


def plan(one: Instance) -> None:
    planter = one.planter
    one.become(_PLAN, "RTPLAN")
    setup = {
        0x300A0184: Field("DS", planter.plain("SetupDeviceParameter")),
        0x300A01B2: Field("ST", planter.word("SetupTechnique")),
    }
    beam = {
        0x300A00C2: Field("LO", planter.word("BeamName")),
        0x300A00C3: Field("ST", planter.word("BeamDescription")),
        0x300A00B2: Field("SH", planter.word("TreatmentMachineName", 16)),
        0x300A0107: Field("SQ", [{0x300A0108: Field("SH", planter.word("ApplicatorID", 16))}]),
        0x300A00E3: Field("SQ", [{0x300A00E1: Field("SH", planter.word("MaterialID", 16))}]),
    }
    one.add({0x300A00B0: Field("SQ", [beam]), 0x300A0180: Field("SQ", [setup])})
    for tag, vr in (
        (0x300A0002, "SH"),
        (0x300A0003, "LO"),
        (0x300A0004, "ST"),
        (0x300A0009, "LO"),
        (0x300A000E, "ST"),
        (0x300A000B, "LO"),
    ):
        one.add({tag: Field(vr, planter.value(vr, f"plan ({tag:08X})"))})


def waveform(one: Instance) -> None:
    planter = one.planter
    one.become(_ECG, "ECG")
    channel = {
        0x003A0203: Field("SH", planter.word("ChannelLabel", 16)),
        0x003A020C: Field("LO", planter.word("ChannelDerivationDescription")),
        0x003A0208: Field(
            "SQ", [code(planter.word("ChannelSource", 16), "99ECG", planter.word("ChannelSource"))]
        ),
        0x54000110: Field("OW", planter.plain("ChannelMinimumValue").encode()),
    }
    group = {
        0x003A0020: Field("SH", planter.word("MultiplexGroupLabel", 16)),
        0x003A0200: Field("SQ", [channel]),
        0x54001004: Field("US", (16,)),
        0x54001010: Field("OW", planter.plain("WaveformData").encode() * 4),
    }
    note = {
        0x00700006: Field("ST", planter.word("annotation of a waveform")),
        0x0040A043: Field("SQ", [code(planter.word("annotation", 16), "99ECG", planter.word("annotation"))]),
        0x0040A13A: Field("DT", planter.date("annotation") + "101112"),
    }
    one.add(
        {
            0x54000100: Field("SQ", [group]),
            0x0040B020: Field("SQ", [note]),
            0x0040A132: Field("FD", planter.plain("time").encode()[:8]),
        }
    )
    planter.canaries.pop()  # eight bytes of ten


def registration(one: Instance) -> None:
    planter = one.planter
    one.become(_REGISTRATION, "REG")
    matrix = {
        0x300600C6: Field("DS", "\\".join(["1"] * 16)),
        0x0070030C: Field("CS", "RIGID"),
        0x300600C8: Field("LO", planter.word("FrameOfReferenceTransformationComment")),
    }
    one.add(
        {
            0x00700308: Field(
                "SQ",
                [
                    {
                        0x00200052: Field("UI", planter.uid("registered frame")),
                        0x00700309: Field("SQ", [{0x0070030A: Field("SQ", [matrix])}]),
                    }
                ],
            )
        }
    )


def document(kind: str) -> Callable[[Instance], None]:
    """An encapsulated PDF, CDA or STL, its name in the document, its title and its source."""

    def plant(one: Instance) -> None:
        planter = one.planter
        one.become(_DOCUMENTS[kind], "M3D" if kind == "stl" else "DOC")
        word = planter.word(f"text of a {kind}")
        raw = {
            "pdf": f"%PDF-1.4\n({word}) Tj\n%%EOF\n".encode(),
            "cda": f"<ClinicalDocument><name>{word}</name></ClinicalDocument>".encode(),
            "stl": word.encode().ljust(80) + struct.pack("<I", 0),
        }[kind]
        one.add({0x00420011: Field("OB", raw), 0x00420010: Field("ST", planter.word("DocumentTitle"))})
        one.add({0x00420012: Field("LO", "application/" + kind)})

    return plant


def document_in_an_image(one: Instance) -> None:
    one.add({0x00420011: Field("OB", f"%PDF-1.4 ({one.planter.word('PDF in an image')})".encode())})
    one.add({0x00420010: Field("ST", one.planter.word("DocumentTitle of an image"))})


def pixels_in_a_report(one: Instance) -> None:
    one.become(SR, "SR")
    one.add({0x7FE00010: Field("OW", one.planter.word("pixels of a report").encode() * 3)})


PLACES: tuple[Callable[[Instance], None], ...] = (
    *(presentation, segmentation, structures, plan, waveform, registration),
    *(document_in_an_image, pixels_in_a_report),
)
