"""The attributes a query may name, as one table: DICOM PS3.4 C.6.1 (Patient Root) and C.6.2 (Study Root).

Tags and value representations are those of PS3.6, as pydicom's dictionary has them.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from pydicom.datadict import dictionary_VM, dictionary_VR, tag_for_keyword

from catalog.query import Level, Root


class Kind(Enum):
    """How a key of an attribute is matched (PS3.4 C.2.2.2)."""

    UID = "list of UIDs"
    TEXT = "single value or wildcard"
    NAME = "person name: single value or wildcard, without regard to case, any component group"
    DATE = "date or range of dates"
    TIME = "time or range of times"
    NUMBER = "integer"
    SERIES = "what any series beneath holds"
    RETURNED = "returned, never matched: acts as universal (PS3.4 C.2.2.1.3)"


_KIND_OF_VR = {
    "UI": Kind.UID,
    "PN": Kind.NAME,
    "DA": Kind.DATE,
    "TM": Kind.TIME,
    "IS": Kind.NUMBER,
    "US": Kind.NUMBER,
    "LT": Kind.RETURNED,  # prose: nothing to compare with
    "DS": Kind.RETURNED,  # one number has many spellings
    "DT": Kind.RETURNED,  # zones and partial values: the date and time attributes are the keys
}


@dataclass(frozen=True, slots=True, eq=False)
class Attribute:
    """One attribute at the level it belongs to; `computed` ones lie in no header.

    `column` is the keyword in snake case. There is one of each, equal only to itself: a cheap key.
    """

    keyword: str
    tag: int
    vr: str
    level: Level
    kind: Kind
    multiple: bool
    computed: bool
    column: str

    @property
    def number(self) -> bool:
        """Whether its value is an integer."""
        return self.vr in {"IS", "US"}


def _snake(keyword: str) -> str:
    return (
        re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", keyword).lower().replace("_i_ds", "_ids")
    )


# PS3.4 tables C.6-1 to C.6-5, and what workstations ask for beside them.
_STORED: dict[Level, str] = {
    Level.PATIENT: """
        PatientID PatientName IssuerOfPatientID PatientBirthDate PatientBirthTime PatientSex
        OtherPatientIDs EthnicGroup PatientComments""",
    Level.STUDY: """
        StudyInstanceUID StudyDate StudyTime AccessionNumber StudyID StudyDescription
        ReferringPhysicianName NameOfPhysiciansReadingStudy AdmittingDiagnosesDescription
        PatientAge PatientSize PatientWeight Occupation AdditionalPatientHistory TimezoneOffsetFromUTC""",
    Level.SERIES: """
        SeriesInstanceUID Modality SeriesNumber SeriesDescription SeriesDate SeriesTime
        BodyPartExamined Laterality PatientPosition ProtocolName FrameOfReferenceUID
        PerformedProcedureStepStartDate PerformedProcedureStepStartTime
        PerformedProcedureStepID PerformedProcedureStepDescription
        PerformingPhysicianName OperatorsName StationName
        InstitutionName InstitutionalDepartmentName Manufacturer ManufacturerModelName""",
    Level.IMAGE: """
        SOPInstanceUID SOPClassUID InstanceNumber ImageType AcquisitionNumber
        AcquisitionDate AcquisitionTime AcquisitionDateTime ContentDate ContentTime
        InstanceCreationDate InstanceCreationTime
        Rows Columns NumberOfFrames BitsAllocated PhotometricInterpretation""",
}

_COMPUTED: dict[Level, tuple[tuple[str, Kind], ...]] = {
    Level.PATIENT: (
        ("NumberOfPatientRelatedStudies", Kind.RETURNED),
        ("NumberOfPatientRelatedSeries", Kind.RETURNED),
        ("NumberOfPatientRelatedInstances", Kind.RETURNED),
    ),
    Level.STUDY: (
        ("ModalitiesInStudy", Kind.SERIES),
        ("SOPClassesInStudy", Kind.SERIES),
        ("NumberOfStudyRelatedSeries", Kind.RETURNED),
        ("NumberOfStudyRelatedInstances", Kind.RETURNED),
    ),
    Level.SERIES: (("NumberOfSeriesRelatedInstances", Kind.RETURNED),),
    Level.IMAGE: (("AvailableTransferSyntaxUID", Kind.UID),),
}

DOOR_KEYS = frozenset(
    {
        "SpecificCharacterSet",
        "QueryRetrieveLevel",
        "QueryRetrieveView",
        "RetrieveAETitle",
        "RetrieveURL",
        "InstanceAvailability",
    }
)
"""What the front door answers by itself (PS3.4 C.4.1.1.3); the catalog holds no value of them."""

UNIQUE_KEYS = {
    Level.PATIENT: "PatientID",
    Level.STUDY: "StudyInstanceUID",
    Level.SERIES: "SeriesInstanceUID",
    Level.IMAGE: "SOPInstanceUID",
}
"""The unique key of each level (PS3.4 C.6.1.1)."""


def _attribute(keyword: str, level: Level, kind: Kind | None = None) -> Attribute:
    tag = tag_for_keyword(keyword)
    assert tag is not None, keyword
    vr = dictionary_VR(tag)
    kind = kind or _KIND_OF_VR.get(vr, Kind.TEXT)
    computed = keyword in {name for name, _kind in _COMPUTED[level]}
    return Attribute(keyword, tag, vr, level, kind, dictionary_VM(tag) != "1", computed, _snake(keyword))


def _attributes() -> Iterable[Attribute]:
    for level in Level:
        yield from (_attribute(keyword, level) for keyword in _STORED[level].split())
        yield from (_attribute(keyword, level, kind) for keyword, kind in _COMPUTED[level])


ATTRIBUTES: dict[str, Attribute] = {attribute.keyword: attribute for attribute in _attributes()}
"""Every attribute the catalog knows, by keyword."""

STORED: dict[Level, tuple[Attribute, ...]] = {
    level: tuple(entry for entry in ATTRIBUTES.values() if entry.level is level and not entry.computed)
    for level in Level
}
"""The attributes that have a column in the table of their level."""

LEVELS = {Root.PATIENT: tuple(Level), Root.STUDY: (Level.STUDY, Level.SERIES, Level.IMAGE)}
"""The levels of each information model."""


def supported(keyword: str, level: Level) -> Attribute | None:
    """Return the attribute behind a key at `level`, or None where the catalog cannot answer it.

    Attributes of a level above are answered too: they are the same for everything beneath, and in Study
    Root the patient's stand at the study (PS3.4 C.6.2.1.2).
    """
    attribute = ATTRIBUTES.get(keyword)
    return attribute if attribute is not None and attribute.level.depth <= level.depth else None
