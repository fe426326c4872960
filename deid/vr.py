from functools import cache

from pydicom.datadict import dictionary_is_retired as pydicom_retired
from pydicom.datadict import dictionary_VM as pydicom_vm
from pydicom.datadict import dictionary_VR as pydicom_vr

# PS3.5 Table 7.1-1: 32-bit length after two reserved bytes.
LONG_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
# PS3.5 Table 7.1-2: 16-bit length.
SHORT_VRS = frozenset(
    {
        "AE",
        "AS",
        "AT",
        "CS",
        "DA",
        "DS",
        "DT",
        "FD",
        "FL",
        "IS",
        "LO",
        "LT",
        "PN",
        "SH",
        "SL",
        "SS",
        "ST",
        "TM",
    }
    | {"UI", "UL", "US"}
)
FORMS = {vr.encode(): (vr, vr in LONG_VRS) for vr in LONG_VRS | SHORT_VRS}

# Where the standard leaves a choice: the VR implicit little endian stands for (PS3.5 A.1). "US or SS" is
# answered with US; whoever needs the sign looks at Pixel Representation.
_CHOICES = {"US or SS": "US", "US or SS or OW": "OW", "US or OW": "OW", "OB or OW": "OW", "NONE": "UN"}

_STRINGS = SHORT_VRS - {"AT", "FD", "FL", "SL", "SS", "UL", "US"} | {"UC", "UR", "UT"}
_BYTES = frozenset({"OB", "OW"})
_TWO = 2  # "US or SS": where words are a third choice, they are what implicit stands for

# The element numbers that reserve a block of private elements for the creator they name (PS3.5 7.8.1).
_FIRST_CREATOR, _LAST_CREATOR = 0x10, 0xFF


def is_vr(raw: bytes) -> bool:
    """Whether two bytes spell a VR of the standard."""
    return raw in FORMS


def long_form(raw: bytes) -> tuple[str, bool]:
    """Return the VR two header bytes spell, and whether a 32-bit length follows.

    VRs the standard does not know yet have the long form (PS3.5 7.1.2); bytes that are no capitals are
    vendors' mistakes and have the short one, as the common toolkits read them. Both count as UN.
    """
    known = FORMS.get(raw)
    if known is not None:
        return known
    return "UN", raw.isalpha() and raw.isupper()


def is_private(tag: int) -> bool:
    """Whether the group of a tag is odd (PS3.5 7.8)."""
    return tag >> 16 & 1 == 1


def block_of(tag: int) -> int:
    """Return the tag that names the creator of a private element's block (PS3.5 7.8.1)."""
    return tag & 0xFFFF0000 | (tag & 0xFFFF) >> 8


def is_private_creator(tag: int) -> bool:
    """Whether the element names the creator of a private block (PS3.5 7.8.1)."""
    return tag >> 16 & 1 == 1 and _FIRST_CREATOR <= tag & 0xFFFF <= _LAST_CREATOR


@cache
def standard_vr(tag: int) -> str | None:
    """Return what PS3.6 says of a tag (`US or SS` where it leaves a choice), None where it says nothing."""
    try:
        return pydicom_vr(tag)
    except KeyError:
        return None


@cache
def least_values(tag: int) -> int:
    """Return how many values PS3.6 wants at least (VM), 1 where it says nothing."""
    try:
        return int(pydicom_vm(tag).partition("-")[0])
    except (KeyError, ValueError):
        return 1


@cache
def is_retired(tag: int) -> bool:
    """Whether PS3.6 has given the attribute up; what it does not know at all counts as given up."""
    try:
        return pydicom_retired(tag)
    except KeyError:
        return True


@cache
def dictionary_vr(tag: int) -> str:
    """Return the VR an element of an implicit data set has: one VR, UN where the dictionary knows nothing."""
    if tag & 0xFFFF == 0:
        return "UL"
    if tag >> 16 & 1:
        return "LO" if is_private_creator(tag) else "UN"
    vr = standard_vr(tag)
    return "UN" if vr is None else _CHOICES.get(vr, vr)


@cache
def agreed_vr(tag: int, written: str, implicit: bool, signed: bool) -> str | None:  # noqa: FBT001 - a cache key
    """Return the VR to read and publish a public element with; None where stream and dictionary contradict.

    The dictionary decides: bytes that call themselves something else are not known to be safe. UN means
    that the sender did not know; among strings a wrong label changes nothing in the bytes.
    """
    stated = standard_vr(tag)
    if stated is None or stated == "NONE":
        return None
    possible = stated.split(" or ")
    if implicit or written == "UN":
        if possible[:2] == ["US", "SS"] and len(possible) == _TWO:
            return "SS" if signed else "US"
        return possible[-1]
    if written in possible:
        return written
    both_strings = written in _STRINGS and possible[0] in _STRINGS
    both_bytes = written in _BYTES and possible[0] in _BYTES
    return possible[-1] if both_strings or both_bytes else None
