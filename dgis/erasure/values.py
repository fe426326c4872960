"""The words of an erasure: what is asked for, and what a round came to."""

from dataclasses import dataclass

from deid.keys.generations import generation_of


@dataclass(frozen=True, slots=True)
class Erasure:
    """One erasure: the patient's key of one generation, and what was received of the patient until then."""

    id: int
    patient_key: str
    key_name: str
    requested_ms: int
    requested_by: str
    spread_ms: int | None
    studies: int
    series: int
    instances: int
    cached: int
    held: int
    grants: int

    @property
    def generation(self) -> int:
        """Which key of the patient it is, from 1."""
        return generation_of(self.key_name)


@dataclass(frozen=True, slots=True)
class Task:
    """One erasure as one gateway stands to it; `swept_ms` once freed bytes and spares were written over."""

    erasure: Erasure
    swept_ms: int | None


@dataclass(frozen=True, slots=True)
class Round:
    """What one round of a gateway came to: erasures it finished, and what the others wait for."""

    done: int = 0
    waiting: int = 0
    in_use_bytes: int = 0
    unsettled: bool = False  # images received before are not indexed yet, or their segment is still written
    unclean: bool = False  # the database's files could not be cleaned: somebody reads an old state
    held_unread: int = 0  # bytes held apart of which nobody can say whose they are
    stores_pending: tuple[str, ...] = ()
