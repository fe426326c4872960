"""The decision of `catalog.decision`, as SQL conditions on rows of either family.

Grants are looked up by the keys of the patterns that the caller's assertions satisfy (a parameter, a JSON
list), so what a grant asks for is matched by an index and never by walking the table. Grants without a
patient are wide: they reduce to a set of contributors, worked out once a statement. Narrow ones are probed
by patient key, once a row.

The unit of decision is the series. A row above is decided at once unless a grant narrower than it speaks of
it; then it is what its series are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    CompoundSelect,
    FromClause,
    and_,
    bindparam,
    exists,
    false,
    not_,
    or_,
    select,
    union_all,
)

from catalog.callers import Assertions, Caller, Right
from catalog.query import Level
from catalog.sql import OneOf, json_list
from catalog.tables import PHI, Family, contributor, grants

Condition = ColumnElement[bool]
Rights = frozenset[Right]

NOW = "now_ms"
"""The parameter that holds the moment of the decision, in epoch milliseconds."""


@lru_cache(maxsize=1024)
def patterns(assertions: Assertions) -> str:
    """Return the value of a clearance's `who` parameter."""
    return json_list(sorted(assertions.satisfied_patterns()))


@dataclass(frozen=True, slots=True)
class Clearance:
    """Conditions for one principal, whose patterns are bound under the parameter `who`.

    `may` is its ceiling: a right above it is never granted, and costs no SQL.
    """

    who: str
    may: Rights

    def holds(self, rights: Rights, row: FromClause) -> Condition:
        """Whether every right holds for a row, by the grants as wide as it or wider."""
        if not rights <= self.may:
            return false()
        allowed = (self._speaking(frozenset({right}), row, allow=True) for right in Right if right in rights)
        return and_(*allowed, not_(self._speaking(rights, row, allow=False)))

    def divided(self, row: FromClause, level: Level) -> Condition:
        """Whether a grant narrower than the row speaks of it, so that its series may fare differently."""
        if level.depth >= Level.SERIES.depth:
            return false()
        grant = grants.alias()
        return exists().where(
            grant.c.patient_key == row.c.patient_key,
            *self._in_force(grant),
            grant.c.study_key.is_not(None)
            if level is Level.PATIENT
            else and_(grant.c.study_key == row.c.study_key, grant.c.series_key.is_not(None)),
        )

    def _speaking(self, rights: Rights, row: FromClause, *, allow: bool) -> Condition:
        """Whether some grant in force allows (or denies) one of the rights on the row."""
        return or_(
            row.c.contributor_id.in_(self._contributors(rights, allow=allow)),
            self._narrow(rights, row, allow=allow),
        )

    def _contributors(self, rights: Rights, *, allow: bool) -> CompoundSelect[tuple[int]]:
        """The contributors that wide grants speak of: named, by facility, or all."""
        grant = grants.alias()
        wide = (
            grant.c.patient_key.is_(None),
            grant.c.allow.is_(allow),
            _gives(grant, rights),
            *self._in_force(grant),
        )
        named = select(grant.c.contributor_id).where(*wide, grant.c.contributor_id.is_not(None))
        by_facility = select(contributor.c.id).where(
            contributor.c.facility.in_(select(grant.c.facility).where(*wide, grant.c.facility.is_not(None)))
        )
        unbound = and_(grant.c.contributor_id.is_(None), grant.c.facility.is_(None))
        every = select(contributor.c.id).where(exists().where(*wide, unbound))
        return union_all(named, by_facility, every)

    def _narrow(self, rights: Rights, row: FromClause, *, allow: bool) -> Condition:
        grant = grants.alias()
        deeper = [
            or_(grant.c[name].is_(None), grant.c[name] == row.c[name])
            if name in row.c
            else grant.c[name].is_(None)
            for name in ("study_key", "series_key")
        ]
        return exists().where(
            grant.c.patient_key == row.c.patient_key,
            grant.c.allow.is_(allow),
            _gives(grant, rights),
            *self._in_force(grant),
            or_(grant.c.contributor_id.is_(None), grant.c.contributor_id == row.c.contributor_id),
            *deeper,
        )

    def _in_force(self, grant: FromClause) -> tuple[Condition, ...]:
        now: BindParameter[int] = bindparam(NOW)
        return (
            OneOf(grant.c.who_key, bindparam(self.who)),
            grant.c.not_before_ms <= now,
            grant.c.not_after_ms > now,
        )


def _gives(grant: FromClause, rights: Rights) -> Condition:
    return or_(*(grant.c[f"may_{right.value}"].is_(True) for right in Right if right in rights))


@dataclass(frozen=True, slots=True)
class Access:
    """What one query may see: one right (find or retrieve), held by everybody concerned.

    For a transfer to somebody else those are requester and destination. Where `originals_first`, the
    de-identified form of what is seen as an original is left out.
    """

    right: Right
    principals: tuple[Clearance, ...]
    originals_first: bool

    @property
    def sees_anything(self) -> bool:
        """Whether the ceilings leave any chance at all."""
        return all(self.right in principal.may for principal in self.principals)

    @property
    def sees_originals(self) -> bool:
        """Whether the ceilings leave any chance of an original."""
        return all({self.right, Right.PHI} <= principal.may for principal in self.principals)

    def visible(self, family: Family, level: Level, row: FromClause) -> Condition:
        """Whether a row of `family` at `level` exists for this access."""
        at_once = self._decided(family, level, row)
        if level.depth >= Level.SERIES.depth:
            return at_once
        divided = self.divided(level, row)
        series = family.series.alias()
        beneath = [series.c.contributor_id == row.c.contributor_id, series.c.patient_key == row.c.patient_key]
        if level is Level.STUDY:
            beneath = [series.c.study_row == row.c.id]
        some = exists().where(
            *beneath, series.c.instance_count > 0, self._decided(family, Level.SERIES, series)
        )
        return or_(and_(not_(divided), at_once), and_(divided, some))

    def divided(self, level: Level, row: FromClause) -> Condition:
        """Whether what lies beneath a row may fare differently, so that its stored counts do not hold."""
        return or_(*(principal.divided(row, level) for principal in self.principals))

    def _decided(self, family: Family, level: Level, row: FromClause) -> Condition:
        original = frozenset({self.right, Right.PHI})
        if family.original:
            return self._all_hold(original, row)
        plain = self._all_hold(frozenset({self.right}), row)
        if not (self.originals_first and self.sees_originals):
            return plain
        return and_(plain, not_(and_(self._all_hold(original, row), _original_exists(level, row))))

    def _all_hold(self, rights: Rights, row: FromClause) -> Condition:
        return and_(*(principal.holds(rights, row) for principal in self.principals))


@dataclass(frozen=True, slots=True)
class Viewer:
    """An access with the values of its parameters: callers and the moment."""

    access: Access
    bound: Mapping[str, object]


_NAMES = ("who", "destination")


def viewer(right: Right, callers: Sequence[Caller], now_ms: int, *, originals_first: bool = False) -> Viewer:
    """Return what these callers may see together: one who asks, and where given the destination."""
    named = list(zip(_NAMES, callers, strict=False))
    access = Access(right, tuple(Clearance(name, caller.may) for name, caller in named), originals_first)
    return Viewer(access, {NOW: now_ms, **{name: patterns(caller.assertions) for name, caller in named}})


def _original_exists(level: Level, row: FromClause) -> Condition:
    """Whether the row of originals that a de-identified row came from is there (it may be lost or erased)."""
    original = PHI.table(level).alias()
    names = ("series_key", "study_key", "patient_key", "contributor_id")
    return exists().where(*(original.c[name] == row.c[name] for name in names if name in row.c))
