from typing import Literal

from deid.elements import UNDEFINED, Buffer, Element, Encoding, elements
from deid.pseudonyms import PatientIdentity
from deid.subject import decoded
from deid.verdict import Shown

_CHARACTER_SET = 0x00080005
_IMAGE_TYPE = 0x00080008
_SOP_CLASS, _SOP_INSTANCE_UID = 0x00080016, 0x00080018
_MODALITY, _MANUFACTURER, _MODEL, _SOFTWARE = 0x00080060, 0x00080070, 0x00081090, 0x00181020
_PATIENT_ID, _ISSUER = 0x00100020, 0x00100021
_STUDY_UID, _SERIES_UID = 0x0020000D, 0x0020000E
_SAMPLES, _SIGNED, _BURNED_IN = 0x00280002, 0x00280103, 0x00280301
_ROWS, _COLUMNS, _PADDING = 0x00280010, 0x00280011, 0x00280120
# Where an overlay lies in the bits of the pixels (PS3.3 C.9.2, retired): bits allocated, the bit's position.
_EMBEDDED = {
    base | element: usual
    for base in range(0x60000000, 0x60200000, 0x20000)
    for element, usual in ((0x0100, 1), (0x0102, 0))
}
_ASKED = frozenset(
    {_CHARACTER_SET, _IMAGE_TYPE, _SOP_CLASS, _SOP_INSTANCE_UID, _MODALITY, _PATIENT_ID, _ISSUER, _STUDY_UID}
    | {_SERIES_UID, _SAMPLES, _SIGNED, _BURNED_IN}
    | {_MANUFACTURER, _MODEL, _SOFTWARE, _ROWS, _COLUMNS, _PADDING}
    | _EMBEDDED.keys()
)
_OF_SUBJECT = (_CHARACTER_SET, _SOP_CLASS, _PATIENT_ID, _ISSUER, _STUDY_UID, _SIGNED)
_OF_VERDICT = (
    *(_IMAGE_TYPE, _SOP_CLASS, _MODALITY, _SAMPLES, _BURNED_IN),
    *(_MANUFACTURER, _MODEL, _SOFTWARE, _ROWS, _COLUMNS),
)
_LONGEST_ASKED_BYTES = 1024
_SHORT_BYTES = 2  # VR US or SS


class Header:
    """The top level of a data set, and the few values that decide how the rest is treated."""

    def __init__(self, buffer: Buffer, encoding: Encoding) -> None:
        """Look at nothing yet."""
        self.buffer = buffer
        self.encoding = encoding
        self.elements: list[Element] = []
        self.values: dict[int, bytes] = {}

    def read(self) -> None:
        """Walk the elements; what was seen before damage stays known.

        Raises:
            WalkError: the bytes are no well-formed data set.
        """
        self.elements.clear()
        self.values.clear()
        for element in elements(self.buffer, self.encoding):
            self.elements.append(element)
            self.note(element)

    def of_subject(self) -> tuple[bytes | None, ...]:
        """Return the values the subject is made of, as they were written: where they are equal, so is it."""
        return tuple(map(self.values.get, _OF_SUBJECT))

    def of_verdict(self) -> tuple[bytes | None, ...]:
        """Return the values the verdict is made of, as they were written."""
        return tuple(map(self.values.get, _OF_VERDICT))

    def note(self, element: Element) -> None:
        """Remember the value of an element if it is one of those asked for; the first of a tag counts."""
        if element.tag in _ASKED and element.tag not in self.values:
            short = element.length != UNDEFINED and element.length <= _LONGEST_ASKED_BYTES
            self.values[element.tag] = bytes(self.buffer[element.value : element.end]) if short else b""

    @property
    def sop_class(self) -> str:
        """The SOP class UID, "" where there is none."""
        return self._text(_SOP_CLASS)

    @property
    def sop_instance_uid(self) -> str:
        """The original SOP instance UID, "" where there is none."""
        return self._text(_SOP_INSTANCE_UID)

    @property
    def study_uid(self) -> str:
        """The original study instance UID, "" where there is none."""
        return self._text(_STUDY_UID)

    @property
    def series_uid(self) -> str:
        """The original series instance UID, "" where there is none."""
        return self._text(_SERIES_UID)

    @property
    def charset(self) -> str:
        """The specific character set as written, its values divided by backslashes."""
        return self._text(_CHARACTER_SET)

    @property
    def signed(self) -> bool:
        """Whether pixels, and what has "US or SS" for a VR, are signed."""
        return self._number(_SIGNED) == 1

    @property
    def embeds_overlays(self) -> bool:
        """Whether an overlay is said to lie in bits of the pixels."""
        return any(self._number(tag) > usual for tag, usual in _EMBEDDED.items() if tag in self.values)

    def patient(self, sop_instance_uid: str) -> PatientIdentity:
        """Return whom the data set is about; `sop_instance_uid` is what it arrived under."""
        charset = self.charset
        patient_id = decoded(self.values.get(_PATIENT_ID, b""), charset)
        if patient_id:
            return PatientIdentity(decoded(self.values.get(_ISSUER, b""), charset), patient_id)
        study_uid = self.study_uid
        return PatientIdentity(
            study_uid=study_uid,
            sop_instance_uid="" if study_uid else self.sop_instance_uid or sop_instance_uid,
        )

    def shown(self) -> Shown:
        """Return what rules about pixels match against."""
        return Shown(
            sop_class=self.sop_class,
            modality=self._text(_MODALITY).upper(),
            image_type=tuple(word.strip() for word in self._text(_IMAGE_TYPE).upper().split("\\")),
            burned_in=self._text(_BURNED_IN).upper(),
            samples=str(self._number(_SAMPLES)),
            manufacturer=self._text(_MANUFACTURER),
            model=self._text(_MODEL),
            software=tuple(version.strip() for version in self._text(_SOFTWARE).split("\\")),
            size=f"{self._number(_ROWS)}x{self._number(_COLUMNS)}",
        )

    @property
    def padding(self) -> int | None:
        """The Pixel Padding Value as a number, None where there is none."""
        raw = self.values.get(_PADDING, b"")
        if len(raw) != _SHORT_BYTES:
            return None
        return int.from_bytes(raw, self._order, signed=self.signed)

    def _text(self, tag: int) -> str:
        return self.values.get(tag, b"").strip(b" \0").decode("latin_1")

    def _number(self, tag: int) -> int:
        return int.from_bytes(self.values.get(tag, b"")[:_SHORT_BYTES], self._order)

    @property
    def _order(self) -> Literal["big", "little"]:
        return "big" if self.encoding is Encoding.EXPLICIT_BE else "little"
