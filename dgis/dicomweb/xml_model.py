"""The Native DICOM Model in XML (PS3.19 A.1), as bytes."""

import re
from collections.abc import Iterable
from xml.sax.saxutils import escape

_NAMESPACE = "http://dicom.nema.org/PS3.19/models/NativeDICOM"
_START = f'<?xml version="1.0" encoding="UTF-8"?><NativeDicomModel xmlns="{_NAMESPACE}" xml:space="preserve">'
_NO_CHARACTER = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0 2.2
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_COMPONENTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")


def document(attributes: Iterable[str]) -> bytes:
    """Return a document of attributes."""
    return f"{_START}{''.join(attributes)}</NativeDicomModel>".encode()


def attribute(tag: int, vr: str, keyword: str, values: Iterable[str], creator: str = "") -> str:
    """Return an attribute with its values."""
    write = _name if vr == "PN" else _value
    inner = "".join(write(number, value) for number, value in enumerate(values, 1) if value)
    return element(tag, vr, keyword, inner, creator)


def element(tag: int, vr: str, keyword: str, inner: str, creator: str = "") -> str:
    """Return an attribute around what is written already."""
    known = f' keyword="{keyword}"' if keyword else ""
    private = f' privateCreator="{_text(creator, quotes=True)}"' if creator else ""
    return f'<DicomAttribute tag="{tag:08X}" vr="{vr}"{known}{private}>{inner}</DicomAttribute>'


def item(number: int, inner: str) -> str:
    """Return an item of a sequence, from 1."""
    return f'<Item number="{number}">{inner}</Item>'


def bulk_data(uri: str) -> str:
    """Return what stands for a value that is elsewhere."""
    return f'<BulkData uri="{_text(uri, quotes=True)}"/>'


def inline_binary(base64: str) -> str:
    """Return a binary value."""
    return f"<InlineBinary>{base64}</InlineBinary>"


def _value(number: int, value: str) -> str:
    return f'<Value number="{number}">{_text(value)}</Value>'


def _name(number: int, value: str) -> str:
    groups = "".join(
        f"<{group}>{_components(text)}</{group}>"
        for group, text in zip(_GROUPS, value.split("=", 2), strict=False)
        if text
    )
    return f'<PersonName number="{number}">{groups}</PersonName>'


def _components(text: str) -> str:
    parts = zip(_COMPONENTS, text.split("^", 4), strict=False)
    return "".join(f"<{name}>{_text(part)}</{name}>" for name, part in parts if part)


def _text(value: str, *, quotes: bool = False) -> str:
    plain = _NO_CHARACTER.sub("\N{REPLACEMENT CHARACTER}", value)
    return escape(plain, {'"': "&quot;"} if quotes else {})
