from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from deid.elements import Buffer
from deid.memo import Done
from deid.splice import PayloadEdit, Split


class WithheldReason(StrEnum):
    """Why an instance is not published but sealed whole; the value is what people read."""

    DECLARED_BURNED_IN = "the sender says that text is burned into the pixels"
    SCREEN_CONTENT = "the image type tells of a screen capture or a report page"
    SLIDE_LABEL = "slide labels and overviews show names"
    RISKY_MODALITY = "images of this modality usually show text"
    RISKY_SOP_CLASS = "images of this SOP class may show text, or hold what cannot be looked into"
    COLOUR_CAPTURE = "a colour image where the scanner makes grey ones: a capture with text, likely"
    DOCUMENT = "an encapsulated document"
    SURFACE_SCAN = "a scanned surface shows the patient"
    UNKNOWN_SOP_CLASS = "the SOP class is not known to be safe"
    MALFORMED = "the data set is no well-formed list of elements"
    TOO_LARGE = "the data set is larger than can be looked through"
    INFLATE = "the deflated data set is damaged or too large"
    NO_IDENTITY = "a study, series or SOP instance UID or the SOP class is missing"
    NOT_SPLICED = "the pixels cannot be told from the rest"
    CODESTREAM = "the compressed pixels cannot be looked into"
    NO_REGIONS = "a rule keeps the ultrasound regions alone, and the image does not say what lies outside"
    NO_PIXELS = "there are no pixels to decide on"
    NOT_DECODED = "pixels that are to be blanked cannot be decoded"
    NOT_BLANKED = "pixels that are to be blanked are not where they should be, or lie in a way not known here"
    WITHDRAWN = "a reviewer withdrew what was published"
    NUMBERS = "what was to be published does not say what the original says"


@dataclass(frozen=True, slots=True)
class Report:
    """What was done to an instance: tags and actions of PS3.15 Annex E, never values."""

    profile: str
    elements: tuple[Done, ...] = field(repr=False)

    def actions(self) -> Mapping[tuple[int, str], int]:
        """Count how often each (tag, action) was taken at any depth; what stays as it is does not count."""
        return Counter(note for done in self.elements for note in done.notes)


@dataclass(frozen=True, slots=True)
class Published:
    """An instance fit for publication: its de-identified header bytes, and how its pixels are taken over.

    `before` and `after` are the elements before and after the pixel element, explicit VR little endian. The
    payloads of `split` are ranges of `inflated` where that is set, of the original otherwise; `payload_edits`
    says what of them is left out. `patient_key` names the key of the patient in the key store.
    """

    sop_class_uid: str
    sop_instance_uid: str
    study_uid: str
    series_uid: str
    transfer_syntax: str
    patient_key: str
    before: bytes = field(repr=False)
    after: bytes = field(repr=False)
    split: Split
    payload_edits: Mapping[int, PayloadEdit]
    report: Report
    inflated: Buffer | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Withheld:
    """An instance that is sealed whole; the UIDs are pseudonyms, "" where the original has none to tell.

    So is the class where what stands there can be none.
    """

    reason: WithheldReason
    patient_key: str
    sop_class_uid: str
    sop_instance_uid: str
    study_uid: str
    series_uid: str
