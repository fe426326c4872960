"""The words of a rebuild: what was read of a part, and what it came to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from catalog.adopt import AdoptedForm, AdoptedOriginal
from dgis.publisher.about import Contribution


class Trouble(StrEnum):
    """Why not everything of a part could be made anew; words for people."""

    ERASED = "the patient's key was destroyed: only the de-identified form is left"
    NO_KEYS = "no key store is at hand: only the de-identified form was made"
    NO_KEY = "the patient's key is in no key store that answers"
    NO_COMPANION = "there is no sealed companion on the nodes that answer"
    NO_RECORD = "there is no record on the nodes that answer"
    DAMAGED_RECORD = "no copy of the record can be read"
    DAMAGED_COMPANION = "no copy of the sealed companion opens"
    UNKNOWN_ROWS = "the sealed rows are of a version this program does not read"
    UNREADABLE = "an original says no study, series or instance"
    CONFLICT = "the database has other bytes under a UID of it, and keeps them"
    UNKNOWN_CONTRIBUTOR = "nothing says who contributed it: it belongs to nobody's grants"


EXPECTED = frozenset({Trouble.ERASED, Trouble.NO_KEYS})
"""What is no fault of the nodes."""


@dataclass(frozen=True, slots=True)
class PartRead:
    """All that nodes and keys tell of one part.

    `originals` is None where the companion does not open; `key_name` names the key it opened with. Sizes in
    bytes, of one copy.
    """

    record_key: str
    patient_key: str
    planned_ms: int
    contribution: Contribution | None
    forms: tuple[AdoptedForm, ...] = field(repr=False)
    originals: tuple[AdoptedOriginal, ...] | None = field(default=None, repr=False)
    study_key: str = ""
    series_key: str = ""
    key_name: str = ""
    gateway: str = ""
    decided: bool = False
    supersedes: frozenset[str] = frozenset()
    stored_bytes: int = 0
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True)
class Objects:
    """What was found on the nodes: objects taken into the index, copies added, and what was left alone."""

    listed: int = 0
    taken: int = 0
    copies_added: int = 0
    bad_copies: int = 0
    damaged: int = 0
    duplicates: int = 0
    departed: int = 0
    on_their_way: int = 0
    foreign: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """What a rebuild came to."""

    objects: Objects
    parts: int
    forms: int
    originals: int
    troubles: Mapping[str, int]
    erasures: int
    departed: int
    unreachable: Mapping[str, str]
    keys: bool
    not_rebuilt: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether everything that the configured nodes hold was made anew."""
        faults = {name for name in self.troubles if Trouble(name) not in EXPECTED}
        return not (faults or self.unreachable or self.objects.damaged)

    def as_json(self) -> dict[str, Any]:
        """The same for scripts."""
        objects = {name: getattr(self.objects, name) for name in Objects.__slots__}
        return {
            "complete": self.complete,
            "objects": objects,
            "parts": self.parts,
            "deidentified_instances": self.forms,
            "originals": self.originals,
            "troubles": dict(self.troubles),
            "erasures_taken_over": self.erasures,
            "departed": self.departed,
            "nodes_that_do_not_answer": dict(self.unreachable),
            "with_keys": self.keys,
            "not_rebuilt": list(self.not_rebuilt),
        }
