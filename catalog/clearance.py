"""The decision of `catalog.decision`, as SQL conditions on rows of either family.

Grants without a patient are wide: when a query begins they reduce to the contributors for whom each right is
allowed or denied. Narrow grants stay in the statement, probed by patient key once a row; a caller that holds
none pays nothing for them.

The unit of decision is the series. A row above is decided at once unless a grant narrower than it speaks of
it; then it is what its series are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    FromClause,
    and_,
    bindparam,
    case,
    exists,
    false,
    not_,
    or_,
    true,
)

from catalog.callers import Right
from catalog.query import Level
from catalog.reach import Reach
from catalog.sql import OneOf, OneOfIds
from catalog.tables import PHI, Family, grants, linked_patient

Condition = ColumnElement[bool]
Rights = frozenset[Right]

NOW = "now_ms"
"""The parameter that holds the moment of the decision, in epoch milliseconds."""


@dataclass(frozen=True, slots=True)
class Clearance:
    """Conditions for one principal; the names of its parameters begin with `name`.

    `may` is its ceiling: a right above it is never granted, and costs no SQL. `narrow` says whether it
    satisfies any grant on a patient, study or series, `linked` whether any that follows links.
    """

    name: str
    may: Rights
    narrow: bool
    linked: bool = False

    def allowed(self, right: Right) -> str:
        """The parameter with the contributors for whom wide grants allow a right, and none denies it."""
        return f"{self.name}_may_{right.value}"

    def denied(self, right: Right) -> str:
        """The parameter with the contributors for whom a wide grant denies a right."""
        return f"{self.name}_not_{right.value}"

    @property
    def patterns(self) -> str:
        """The parameter with the keys of the patterns that it satisfies and narrow grants bear."""
        return f"{self.name}_patterns"

    @property
    def opening(self) -> str:
        """The parameter with those of the patterns by which a grant can allow something to it."""
        return f"{self.name}_opening"

    def holds(self, rights: Rights, row: FromClause) -> Condition:
        """Whether every right holds for a row, by the grants as wide as it or wider."""
        if not rights <= self.may:
            return false()
        ordered = [right for right in Right if right in rights]
        wide: list[Condition] = [
            OneOfIds(row.c.contributor_id, bindparam(self.allowed(right))) for right in ordered
        ]
        if not self.narrow:
            return and_(*wide)
        each = (
            or_(by_contributor, self._speaking([right], row, allow=True))
            for by_contributor, right in zip(wide, ordered, strict=True)
        )
        refused: list[Condition] = [
            OneOfIds(row.c.contributor_id, bindparam(self.denied(right))) for right in ordered
        ]
        refused.append(self._speaking(ordered, row, allow=False))
        if self.linked:
            refused.append(self._denying_linked(ordered, row))
        return and_(*each, *(not_(by) for by in refused))

    def names(self, row: FromClause) -> Condition:
        """Whether any narrow grant in force has something to say of the row's patient.

        Where none has, the wide grants alone decide: whatever `holds` and `divided` look at for a narrow
        principal must be in here.
        """
        grant = grants.alias()
        named = exists().where(grant.c.patient_key == row.c.patient_key, *self._in_force(grant))
        return or_(named, self._denying_linked(list(Right), row)) if self.linked else named

    def divided(self, row: FromClause, level: Level) -> Condition:
        """Whether a grant narrower than the row speaks of it, so that its series may fare differently."""
        if not self.narrow or level.depth >= Level.SERIES.depth:
            return false()
        grant = grants.alias()
        narrower: Condition = grant.c.study_key.is_not(None)
        if level is Level.STUDY:
            narrower = and_(grant.c.study_key == row.c.study_key, grant.c.series_key.is_not(None))
        return exists().where(grant.c.patient_key == row.c.patient_key, *self._in_force(grant), narrower)

    def _speaking(self, rights: Sequence[Right], row: FromClause, *, allow: bool) -> Condition:
        """Whether a narrow grant in force allows (or denies) one of the rights on the row."""
        grant = grants.alias()
        deeper = (
            or_(grant.c[name].is_(None), grant.c[name] == row.c[name])
            if name in row.c
            else grant.c[name].is_(None)
            for name in ("study_key", "series_key")
        )
        return exists().where(
            grant.c.patient_key == row.c.patient_key,
            grant.c.allow.is_(allow),
            _names_one(grant, rights),
            *self._in_force(grant, self.opening if allow else self.patterns),
            or_(grant.c.contributor_id.is_(None), grant.c.contributor_id == row.c.contributor_id),
            *deeper,
        )

    def _denying_linked(self, rights: Sequence[Right], row: FromClause) -> Condition:
        """Whether a denial in force on a patient linked with the row's refuses one of the rights."""
        grant, own, other = grants.alias(), linked_patient.alias(), linked_patient.alias()
        return exists().where(
            own.c.patient_key == row.c.patient_key,
            other.c.person == own.c.person,
            grant.c.patient_key == other.c.patient_key,
            grant.c.linked.is_(True),
            grant.c.allow.is_(False),
            _names_one(grant, rights),
            *self._in_force(grant),
        )

    def _in_force(self, grant: FromClause, patterns: str | None = None) -> tuple[Condition, ...]:
        now: BindParameter[int] = bindparam(NOW)
        return (
            OneOf(grant.c.who_key, bindparam(patterns or self.patterns)),
            grant.c.not_before_ms <= now,
            grant.c.not_after_ms > now,
        )


@dataclass(frozen=True, slots=True)
class Access:
    """What one query may see: one right (find or retrieve), held by everybody concerned.

    For a transfer to somebody else those are requester and destination. Where `originals_first`, the
    de-identified form of what is seen as an original is left out. `anything` and `originals` say whether
    ceilings and grants leave any chance of a row at all, and of an original. Where there is a `reach`,
    unpublished originals that lie outside of it do not exist.
    """

    right: Right
    principals: tuple[Clearance, ...]
    originals_first: bool
    anything: bool
    originals: bool
    reach: Reach | None = None

    def lying(self, family: Family, instance: FromClause) -> Condition:
        """Whether the bytes of an instance of `family` can be had: from the grid, else from the own cache."""
        if self.reach is None or not family.original:
            return true()
        return or_(instance.c.record_key.is_not(None), self.reach.holds(instance.c.id))

    def counted_anew(self, family: Family) -> Condition:
        """Whether the counts that rows keep may count what cannot be had here."""
        return false() if self.reach is None or not family.original else self.reach.elsewhere

    def _anything_lies(self, family: Family, level: Level, row: FromClause) -> Condition:
        """Whether anything beneath a row of a family can be had."""
        if self.reach is None or not family.original:
            return true()
        instance, series, study = family.instance.alias(), family.series.alias(), family.study.alias()
        beneath: dict[Level, list[Condition]] = {
            Level.SERIES: [instance.c.series_row == row.c.id],
            Level.STUDY: [series.c.study_row == row.c.id, instance.c.series_row == series.c.id],
            Level.PATIENT: [
                study.c.patient_row == row.c.id,
                series.c.study_row == study.c.id,
                instance.c.series_row == series.c.id,
            ],
        }
        some = exists().where(*beneath[level], self.lying(family, instance))
        return or_(not_(self.reach.elsewhere), some)

    def visible(self, family: Family, level: Level, row: FromClause) -> Condition:
        """Whether a row of `family` at `level` exists for this access."""
        at_once = self._decided(family, level, row)
        if not any(each.narrow for each in self.principals):
            return at_once
        # Few patients are named in grants: for all others the wide ones decide, at a fraction of the cost.
        named = or_(*(each.names(row) for each in self.principals if each.narrow))
        wide = tuple(replace(each, narrow=False, linked=False) for each in self.principals)
        otherwise = replace(self, principals=wide)._decided(family, level, row)  # noqa: SLF001 - its own kind
        return case((named, self._beneath(family, level, row, at_once)), else_=otherwise)

    def _beneath(self, family: Family, level: Level, row: FromClause, at_once: Condition) -> Condition:
        """The decision on a row of a patient whom narrow grants name: perhaps that on its series."""
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
            return and_(self._all_hold(original, row), self._anything_lies(family, level, row))
        plain = self._all_hold(frozenset({self.right}), row)
        if not (self.originals_first and self.originals):
            return plain
        return and_(plain, not_(and_(self._all_hold(original, row), self._original_exists(level, row))))

    def _original_exists(self, level: Level, row: FromClause) -> Condition:
        """Whether the original row of a de-identified one is there: it may be lost or erased."""
        own = PHI.table(level).alias()
        names = ("series_key", "study_key", "patient_key", "contributor_id")
        same = (own.c[name] == row.c[name] for name in names if name in row.c)
        return exists().where(*same, self._anything_lies(PHI, level, own))

    def _all_hold(self, rights: Rights, row: FromClause) -> Condition:
        return and_(*(principal.holds(rights, row) for principal in self.principals))


@dataclass(frozen=True, slots=True)
class Viewer:
    """An access with the values of its parameters: callers and the moment."""

    access: Access
    bound: Mapping[str, object]


def _names_one(grant: FromClause, rights: Sequence[Right]) -> Condition:
    return or_(*(grant.c[f"may_{right.value}"].is_(True) for right in rights))
