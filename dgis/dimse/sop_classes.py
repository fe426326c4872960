"""What a proposed abstract syntax is to this gateway (PS3.4 annexes A, B, C; PS3.6 table A-1)."""

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from pydicom.uid import UID

from catalog.query import Root
from dgis.dimse.uids import (
    DEFLATED_LE,
    EXPLICIT_BE,
    EXPLICIT_LE,
    IMPLICIT_LE,
    STORAGE_COMMITMENT,
    VERIFICATION,
    is_uid,
)

_STANDARD_ROOT = "1.2.840.10008."
_STORAGE_ROOT = "1.2.840.10008.5.1.4.1.1."  # storage classes younger than the dictionary stand here

# Pixels behind a reference to a server or a stream: keeping the data set would not keep the image.
REFERENCED_PIXEL_SYNTAXES = frozenset(
    {
        "1.2.840.10008.1.2.4.94",  # JPIP Referenced
        "1.2.840.10008.1.2.4.95",  # JPIP Referenced Deflate
        "1.2.840.10008.1.2.4.204",  # JPIP HTJ2K Referenced
        "1.2.840.10008.1.2.4.205",  # JPIP HTJ2K Referenced Deflate
        "1.2.840.10008.1.2.7.1",  # SMPTE ST 2110-20, progressive
        "1.2.840.10008.1.2.7.2",  # SMPTE ST 2110-20, interlaced
        "1.2.840.10008.1.2.7.3",  # SMPTE ST 2110-30, audio
    }
)
MESSAGE_SYNTAXES = (IMPLICIT_LE, EXPLICIT_LE, EXPLICIT_BE, DEFLATED_LE)
"""Of messages whose data sets we read or write ourselves: queries and their answers."""


class Operation(Enum):
    """What a context is for."""

    VERIFY = "verify"
    STORE = "store"
    FIND = "find"
    MOVE = "move"
    GET = "get"
    COMMIT = "commit"


@dataclass(frozen=True, slots=True)
class Service:
    """One supported abstract syntax; `root` is the information model of a query class."""

    operation: Operation
    root: Root | None = None


# PS3.4 C.6.1.3, C.6.2.3: the classes of both roots; Patient/Study Only is retired and not offered.
_QUERIES = {
    "1.2.840.10008.5.1.4.1.2.1.1": Service(Operation.FIND, Root.PATIENT),
    "1.2.840.10008.5.1.4.1.2.1.2": Service(Operation.MOVE, Root.PATIENT),
    "1.2.840.10008.5.1.4.1.2.1.3": Service(Operation.GET, Root.PATIENT),
    "1.2.840.10008.5.1.4.1.2.2.1": Service(Operation.FIND, Root.STUDY),
    "1.2.840.10008.5.1.4.1.2.2.2": Service(Operation.MOVE, Root.STUDY),
    "1.2.840.10008.5.1.4.1.2.2.3": Service(Operation.GET, Root.STUDY),
}
_STORE = Service(Operation.STORE)
# Storage classes that stand elsewhere in PS3.6 table A-1, retired ones among them; their objects have a
# patient and a study.
_STORAGE_ELSEWHERE = (
    "1.2.840.10008.5.1.1.27",  # Stored Print
    "1.2.840.10008.5.1.1.29",  # Hardcopy Grayscale Image
    "1.2.840.10008.5.1.1.30",  # Hardcopy Color Image
    "1.2.840.10008.5.1.4.34.1",  # RT Beams Delivery Instruction, trial
    "1.2.840.10008.5.1.4.34.7",  # RT Beams Delivery Instruction
    "1.2.840.10008.5.1.4.34.10",  # RT Brachy Application Setup Delivery Instruction
)
SERVICES: dict[str, Service] = {
    VERIFICATION: Service(Operation.VERIFY),
    **_QUERIES,
    STORAGE_COMMITMENT: Service(Operation.COMMIT),
    **dict.fromkeys(_STORAGE_ELSEWHERE, _STORE),
}


def service_of(abstract_syntax: str) -> Service | None:
    """Tell what an abstract syntax is for, or None where it is none of ours.

    A class that is not of the standard counts as a storage class of somebody's own. Objects without a
    patient (colour palettes, hanging protocols, implant templates) belong to another service class (PS3.4
    annex GG): they have no study in which they could be found.
    """
    known = SERVICES.get(abstract_syntax)
    return known or (_class_of_objects(abstract_syntax) if is_uid(abstract_syntax) else None)


@lru_cache(maxsize=1024)
def _class_of_objects(abstract_syntax: str) -> Service | None:
    if not abstract_syntax.startswith(_STANDARD_ROOT):
        return _STORE
    name = UID(abstract_syntax).name  # the UID itself where the dictionary does not know it
    young = name == abstract_syntax
    under_storage = abstract_syntax.startswith(_STORAGE_ROOT)
    return _STORE if under_storage and (young or not name or "Storage" in name) else None


def takes_syntax(service: Service, transfer_syntax: str) -> bool:
    """Tell whether data sets of a service may come in a transfer syntax; stored ones are kept as sent."""
    if service.operation is Operation.STORE:
        return is_uid(transfer_syntax) and transfer_syntax not in REFERENCED_PIXEL_SYNTAXES
    return transfer_syntax in MESSAGE_SYNTAXES
