import unicodedata
from dataclasses import dataclass

from deid.pseudonyms import PatientPseudonym

# Python's codecs for the character sets of PS3.3 C.12.1.1.2; code extensions (ISO 2022) are read by the
# first of their sets. Used only to recognise an identifier whatever charset it came in, never to publish
# text.
_CODECS = {
    "ISO_IR 100": "latin_1",
    "ISO_IR 101": "iso8859_2",
    "ISO_IR 109": "iso8859_3",
    "ISO_IR 110": "iso8859_4",
    "ISO_IR 126": "iso8859_7",
    "ISO_IR 127": "iso8859_6",
    "ISO_IR 138": "iso8859_8",
    "ISO_IR 144": "iso8859_5",
    "ISO_IR 148": "iso8859_9",
    "ISO_IR 203": "iso8859_15",
    "ISO_IR 13": "shift_jis",
    "ISO_IR 166": "tis_620",
    "ISO_IR 192": "utf_8",
    "GB18030": "gb18030",
    "GBK": "gbk",
}


@dataclass(frozen=True, slots=True)
class Subject:
    """What the outcome for an element depends on besides its own bytes and the sequence it stands in.

    Instances of one series share a subject; the memo of finished elements hangs on it.
    """

    patient: PatientPseudonym
    charset: str
    sop_class: str
    signed: bool


def decoded(raw: bytes, charset: str) -> str:
    """Return an identifier as text, trimmed and normalised: the same for every way of writing it down."""
    first = charset.partition("\\")[0].strip().replace("ISO 2022 IR ", "ISO_IR ")
    try:
        text = raw.decode(_CODECS.get(first, "utf_8"))
    except UnicodeDecodeError:
        text = raw.decode("latin_1")
    return unicodedata.normalize("NFC", text).strip(" \0")
