import re
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple, cast

from deid.tables.loader import records

_LONGEST_MEANING = 64  # characters of LO
_CHECKED = "@CHECKED"

# The Verhoeff scheme of SNOMED CT identifiers: the dihedral group D5, and the permutation of each place.
_TIMES = (
    *("0123456789", "1234067895", "2340178956", "3401289567", "4012395678"),
    *("5987604321", "6598710432", "7659821043", "8765932104", "9876543210"),
)
_PLACES = (
    *("0123456789", "1576283094", "5803796142", "8916043527"),
    *("9453126870", "4286573901", "2793806415", "7046913258"),
)
_PARTITIONS = frozenset({"00", "10"})  # concepts of the international edition, and of extensions
_SHORTEST_CONCEPT, _LONGEST_CONCEPT = 6, 18


# scheme -> keyword -> code value -> (meaning, context groups)
_Concepts = Mapping[str, Mapping[str, Mapping[str, tuple[str, list[int]]]]]


class Code(NamedTuple):
    """A coded entry that may be published (PS3.3 8.8)."""

    scheme: str
    value: str
    meaning: str


def known_code(scheme: str, value: str) -> Code | None:
    """Return the entry of a code in the dictionary's words, never the sender's; None where unknown."""
    spelled = next((words[value] for words in (_meanings().get(scheme, {}),) if value in words), None)
    if spelled is not None:
        return Code(scheme, value, spelled)
    form = _forms().get(scheme)
    if form is None or not (is_concept(value) if form == _CHECKED else re.fullmatch(form, value, re.ASCII)):
        return None
    return Code(scheme, value, f"{scheme} {value}"[:_LONGEST_MEANING])


def is_known_scheme(designator: str) -> bool:
    """Whether PS3.16 or the dictionary knows the coding scheme."""
    return designator in _forms() or designator in _meanings()


def is_concept(value: str) -> bool:
    """Whether digits are a SNOMED CT concept identifier: its length, partition and check digit are right."""
    if not (_SHORTEST_CONCEPT <= len(value) <= _LONGEST_CONCEPT and value.isascii() and value.isdigit()):
        return False
    check = 0
    for place, digit in enumerate(reversed(value)):
        check = int(_TIMES[check][int(_PLACES[place % 8][int(digit)])])
    return check == 0 and value[-3:-1] in _PARTITIONS


@cache
def _forms() -> Mapping[str, str]:
    return {scheme: form for scheme, form, _whose in records("coding_schemes.tsv")}


@cache
def _meanings() -> Mapping[str, Mapping[str, str]]:
    """Return scheme -> code value -> meaning: the codes of PS3.16 as pydicom carries them.

    SNOMED RT codes of old files (under any of their three names) get the meaning of their SNOMED CT
    successor.
    """
    # Imported here: the dictionaries take half a second, which a process that sees no codes can save.
    from pydicom.sr._concepts_dict import concepts  # noqa: PLC0415 - see above
    from pydicom.sr._snomed_dict import mapping  # noqa: PLC0415 - see above

    found: dict[str, dict[str, str]] = {}
    for scheme, entries in cast("_Concepts", concepts).items():
        words = found.setdefault(scheme, {})
        for codes in entries.values():
            for value, (meaning, _groups) in codes.items():
                if meaning.isascii() and meaning.isprintable():
                    words.setdefault(value, meaning[:_LONGEST_MEANING])
    old = {value: found["SCT"][new] for value, new in mapping["SRT"].items() if new in found["SCT"]}
    return found | {"SRT": old, "SNM3": old, "99SDM": old}
