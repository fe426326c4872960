"""In which transfer syntax an instance leaves as `application/dicom` (PS3.18 8.7.3.2, 8.7.8.2).

As it lies wherever that is taken; else, where it can be, native in explicit VR little endian. What was
compressed with loss goes as it lies where no transfer syntax is named, and so does what cannot be converted.
"""

from dgis.dicomweb.accept import ANY, Acceptable, MediaRange
from dgis.transcode.syntaxes import EXPLICIT_LITTLE_ENDIAN, targets_of

DICOM = "application/dicom"

# PS3.6 Table A-1: what may have lost something. JPEG 2000, HTJ2K and JPEG XL of either kind are among them.
LOSSY = frozenset(
    f"1.2.840.10008.1.2.4.{number}"
    for number in (50, 51, 53, 55, 81, 91, 93, 94, 95, *range(100, 109), 112, 203, 205)
)


def chosen(stored: str, takes: Acceptable, *, multipart: bool | None, name: str = DICOM) -> str | None:
    """Return the transfer syntax in which an instance leaves; None where the client takes none it can have.

    With `multipart` ranges for parts count, with False those for a single object, with None both; `name` is
    the media type that it leaves in.
    """
    for each in takes.ranges:
        if each.takes(name) and (multipart is None or each.name == ANY or each.multipart == multipart):
            found = _in_range(stored, each)
            if found is not None:
                return found
    return None


def _in_range(stored: str, asked: MediaRange) -> str | None:
    if asked.syntax in {"*", stored}:
        return stored
    convertible = EXPLICIT_LITTLE_ENDIAN in targets_of(stored)
    if asked.syntax:
        return asked.syntax if asked.syntax == EXPLICIT_LITTLE_ENDIAN and convertible else None
    if stored == EXPLICIT_LITTLE_ENDIAN or stored in LOSSY or not convertible:
        return stored
    return EXPLICIT_LITTLE_ENDIAN
