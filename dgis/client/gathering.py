"""Cohorts of a gateway over DICOMweb: made of a selection, compared with what is there now."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from dgis.client.cohort import Cohort, Difference, Member, difference
from dgis.client.downloading import Downloaded, Manner, Wanted, download, instances_of
from dgis.client.errors import NotFoundError, RefusedError
from dgis.client.transport import Transport

_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class GatheredCohort:
    """A cohort and the gateway to have it from."""

    transport: Transport = field(repr=False)
    cohort: Cohort

    @property
    def hash(self) -> str:
        """What names the set."""
        return self.cohort.hash

    def __len__(self) -> int:
        return len(self.cohort.members)

    def save(self, path: Path | str) -> Path:
        """Write it as a file.

        Raises:
            OSError: it cannot be written.
        """
        return self.cohort.save(path)

    def verify(self) -> Difference:
        """Return what is missing or changed since; nothing (false) where the set is the same.

        Raises:
            GridError: the gateway does not answer, or refuses.
        """
        now = members(self.transport, [member.wanted for member in self.cohort.members])
        return difference(self.cohort, {member.series: member for member in now})

    def download(self, folder: Path | str, *, workers: int = 4, progress: bool = True) -> Downloaded:
        """Fetch all series of it as `Selection.download` does.

        Raises:
            GridError: as `Selection.download`.
            OSError: a file cannot be written.
        """
        wanted = [member.wanted for member in self.cohort.members]
        return download(self.transport, wanted, Path(folder), Manner(workers, progress=progress))


def gather(transport: Transport, wanted: Sequence[Wanted], query: dict[str, object]) -> GatheredCohort:
    """Write down series that a selection found.

    Raises:
        RefusedError: this login may see originals, whose UIDs are no pseudonyms.
        GridError: the gateway does not answer, or refuses.
    """
    caller = transport.json("/api/caller")
    if not isinstance(caller, dict) or "phi" in caller.get("may", ["phi"]):
        raise RefusedError(
            "a cohort holds pseudonyms only, and this login may see originals: make it with a login without "
            "the right phi"
        )
    edition = datetime.now(UTC).isoformat(timespec="seconds")
    return GatheredCohort(transport, Cohort(tuple(sorted(members(transport, wanted))), query, edition))


def members(transport: Transport, wanted: Sequence[Wanted]) -> list[Member]:
    """Return what series are now; those that are gone have no instances.

    Raises:
        GridError: the gateway does not answer, or refuses.
    """

    def member(each: Wanted) -> Member:
        try:
            found = instances_of(transport, each)
        except NotFoundError:
            found = frozenset()
        return Member.of(each.study, each.series, found)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(member, wanted))
