from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """What a key store knows under a name."""

    HELD = "held"
    SHREDDED = "shredded"
    DAMAGED = "damaged"  # nothing readable, or vaults that disagree
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Standing:
    """What became of the key of a name; `shredded_ms` (epoch milliseconds) where it was destroyed."""

    state: State
    shredded_ms: int | None = None
