"""A set of series written down, so that the same set can be had, or missed, later. Pseudonyms only."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

from dgis.client.downloading import Wanted
from dgis.client.errors import GridError

_VERSION = 1
_MOST_BYTES = 1 << 30


class CohortError(GridError):
    """A file that is no cohort, or one that was altered."""


@dataclass(frozen=True, slots=True, order=True)
class Member:
    """One series: its pseudonyms, how many instances, and `content`, the hash over their pseudonyms.

    A de-identified instance never changes under its UID, so that equal UIDs are equal content.
    """

    study: str
    series: str
    instances: int
    content: str

    @classmethod
    def of(cls, study: str, series: str, instances: Iterable[str]) -> Self:
        """Describe a series by the UIDs of its instances."""
        known = sorted(set(instances))
        return cls(study, series, len(known), sha256("\n".join(known).encode()).hexdigest())

    @property
    def wanted(self) -> Wanted:
        """What to download."""
        return Wanted(self.study, self.series)


@dataclass(frozen=True, slots=True)
class Cohort:
    """Series, the question that found them, and when (`edition`, UTC); `hash` names the series alone."""

    members: tuple[Member, ...]
    query: Mapping[str, Any]
    edition: str

    @property
    def hash(self) -> str:
        """SHA-256 over the canonical JSON of the members: sorted, no blanks, keys in order."""
        members = [asdict(member) for member in sorted(self.members)]
        text = json.dumps({"version": _VERSION, "series": members}, sort_keys=True, separators=(",", ":"))
        return sha256(text.encode()).hexdigest()

    @property
    def document(self) -> dict[str, Any]:
        """What is written."""
        return {
            "version": _VERSION,
            "hash": self.hash,
            "edition": self.edition,
            "query": dict(self.query),
            "count": len(self.members),
            "total": sum(member.instances for member in self.members),
            "series": [asdict(member) for member in sorted(self.members)],
        }

    def save(self, path: Path | str) -> Path:
        """Write it; the file has its name when it is whole.

        Raises:
            OSError: it cannot be written.
        """
        target = Path(path)
        aside = target.with_name(f".{target.name}.part")
        aside.write_text(json.dumps(self.document, indent=1) + "\n", encoding="utf-8")
        aside.replace(target)
        return target


@dataclass(frozen=True, slots=True)
class Difference:
    """What became of a cohort: series that are gone, and such that have other instances now."""

    missing: tuple[Member, ...]
    changed: tuple[tuple[Member, Member], ...]

    @property
    def words(self) -> tuple[str, ...]:
        """A line for each."""
        return (
            *(f"missing: series {each.series}, {each.instances} instances" for each in self.missing),
            *(
                f"changed: series {old.series}, {old.instances} instances then, {new.instances} now"
                for old, new in self.changed
            ),
        )

    def __bool__(self) -> bool:
        return bool(self.missing or self.changed)


def difference(cohort: Cohort, now: Mapping[str, Member]) -> Difference:
    """Compare a cohort with what its series, by UID, are now; one without instances is gone."""
    missing, changed = [], []
    for member in cohort.members:
        found = now.get(member.series)
        if found is None or not found.instances:
            missing.append(member)
        elif found.content != member.content:
            changed.append((member, found))
    return Difference(tuple(missing), tuple(changed))


def read_cohort(path: Path | str) -> Cohort:
    """Read a cohort; its hash must be that of what it lists.

    Raises:
        CohortError: it is none, of a later version, or was altered.
        OSError: it cannot be read.
    """
    try:
        if Path(path).stat().st_size > _MOST_BYTES:
            raise CohortError(f"{path} is too large for a cohort")
        said = json.loads(Path(path).read_text(encoding="utf-8"))
        if said["version"] != _VERSION:
            raise CohortError(f"{path} was written by another version ({said['version']})")
        members = tuple(
            Member(str(one["study"]), str(one["series"]), int(one["instances"]), str(one["content"]))
            for one in said["series"]
        )
        cohort = Cohort(members, dict(said["query"]), str(said["edition"]))
        stated = str(said["hash"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise CohortError(f"{path} is no cohort") from None
    if cohort.hash != stated:
        raise CohortError(f"{path} was altered: its series are not those of its hash")
    return cohort
