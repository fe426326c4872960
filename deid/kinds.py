"""UIDs that say what kind of thing something is, never which one; an attribute is for one or the other."""

import re

from deid.pseudonyms import is_registered

# The standard mints these in a few components of at most three digits, five digits in all (PS3.6 Annex A:
# 481.25, 77.1.5.4, 4.201). New ones will look so; a number that names somebody does not.
_SHORT = r"(?=(?:\.?[0-9]){1,5}$)"
_NUMBER = r"(?:0|[1-9][0-9]{0,2})"
_DICOM_ROOT = "1.2.840.10008."
_CLASSES = rf"1\.2\.840\.10008\.5\.1\.4\.(?:1\.1\.)?{_SHORT}{_NUMBER}(?:\.{_NUMBER}){{0,3}}"
_SYNTAXES = rf"1\.2\.840\.10008\.1\.2\.{_SHORT}{_NUMBER}(?:\.{_NUMBER}){{0,2}}"
# PS3.16 Table 8-1: DICOM's own arc, and HL7's registry of coding schemes (6.1 is LOINC, 6.43.1 ICD-O-3).
_SCHEMES = rf"(?:1\.2\.840\.10008\.2\.16|2\.16\.840\.1\.113883\.6)\.{_NUMBER}(?:\.[0-9])?"
_CONTEXTS = r"1\.2\.840\.10008\.6\.1\.[1-9][0-9]{0,3}"  # PS3.6 Table A-3: about 1,500 of them
_RESOURCES = rf"1\.2\.840\.10008\.8\.1\.{_NUMBER}"

_SOP_CLASS_TAGS = frozenset(
    {0x00041510, 0x0004151A, 0x00080016, 0x0008001A, 0x0008001B, 0x00080062, 0x00081150, 0x0008115A}
    | {0x30100052, 0x30100053}
)
_SYNTAX_TAGS = frozenset({0x00041512, 0x0008040E, 0x00083002, 0x00340003, 0x04000010, 0x04000510})
_CLASS = re.compile(_CLASSES, re.ASCII)
_UID = re.compile(r"[0-2](?:\.(?:0|[1-9][0-9]*))+", re.ASCII)
_LONGEST_UID = 64
_SHAPES = {
    **dict.fromkeys(_SOP_CLASS_TAGS, _CLASS),
    **dict.fromkeys(_SYNTAX_TAGS, re.compile(_SYNTAXES, re.ASCII)),
    0x0008010C: re.compile(_SCHEMES, re.ASCII),  # CodingSchemeUID
    0x00080117: re.compile(_CONTEXTS, re.ASCII),  # ContextUID
    0x00080118: re.compile(_RESOURCES, re.ASCII),  # MappingResourceUID
}


def is_uid(text: str) -> bool:
    """Whether a text has the form of a UID (PS3.5 9.1), no component with a zero in front."""
    return len(text) <= _LONGEST_UID and _UID.fullmatch(text) is not None


def is_kind(tag: int, uid: str, own_class: str) -> bool:
    """Whether a UID that no standard registers names a kind where it stands.

    Under DICOM's root it does if it has the shape of what the attribute is for. Of private SOP classes only
    the instance's own counts, among SOP classes.
    """
    shape = _SHAPES.get(tag)
    if shape is None:
        return False
    if shape.fullmatch(uid):
        return True
    return tag in _SOP_CLASS_TAGS and uid == own_class and not uid.startswith(_DICOM_ROOT)


def may_be_sop_class(uid: str) -> bool:
    """Whether a SOP class is registered, could be a newer one, or is private."""
    return is_standard_class(uid) if uid.startswith(_DICOM_ROOT) else is_uid(uid)


def is_standard_class(uid: str) -> bool:
    """Whether a SOP class is one of the standard, or could be a newer one: then it names nobody."""
    return uid.startswith(_DICOM_ROOT) and (is_registered(uid) or _CLASS.fullmatch(uid) is not None)
