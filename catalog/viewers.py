"""Who looks: callers and their grants, reduced to what a statement needs to know of them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    CompoundSelect,
    Connection,
    Select,
    bindparam,
    func,
    or_,
    select,
    union_all,
)

from catalog.callers import Assertions, Caller, Right
from catalog.clearance import NOW, Access, Clearance, Viewer
from catalog.sql import OneOf, Statements, json_list
from catalog.tables import contributor, grants

_NAMES = ("who", "destination")
_STATEMENTS = Statements(8)

Ids = frozenset[int]


@dataclass(frozen=True, slots=True)
class _Principal:
    clearance: Clearance
    allowed: dict[Right, Ids]
    denied: dict[Right, Ids]
    patterns: str

    def may_hold(self, rights: frozenset[Right]) -> bool:
        """Whether any row can be there for which all of the rights hold."""
        if not rights <= self.clearance.may:
            return False
        return self.clearance.narrow or bool(
            frozenset.intersection(*(self.allowed[right] for right in rights))
        )

    def parameters(self) -> dict[str, str]:
        named = {self.clearance.patterns: self.patterns}
        for right in (Right.FIND, Right.RETRIEVE, Right.PHI):
            named[self.clearance.allowed(right)] = json.dumps(sorted(self.allowed[right]))
            named[self.clearance.denied(right)] = json.dumps(sorted(self.denied[right]))
        return named


def viewer(
    connection: Connection, right: Right, callers: Sequence[Caller], now_ms: int, *, originals_first: bool
) -> Viewer:
    """Return what these callers may see together: one who asks, and where given the destination."""
    principals = [
        _principal(connection, name, caller, now_ms) for name, caller in zip(_NAMES, callers, strict=False)
    ]
    access = Access(
        right,
        tuple(each.clearance for each in principals),
        originals_first,
        anything=all(each.may_hold(frozenset({right})) for each in principals),
        originals=all(each.may_hold(frozenset({right, Right.PHI})) for each in principals),
    )
    bound: dict[str, object] = {NOW: now_ms}
    for each in principals:
        bound |= each.parameters()
    return Viewer(access, bound)


def _principal(connection: Connection, name: str, caller: Caller, now_ms: int) -> _Principal:
    borne = _STATEMENTS.get(connection, "borne", _borne)
    with borne.run(connection, {"patterns": _satisfied(caller.assertions)}) as found:
        patterns = dict(tuple(row) for row in found)
    allowed: dict[Right, set[int]] = {right: set() for right in Right}
    denied: dict[Right, set[int]] = {right: set() for right in Right}
    wide = _STATEMENTS.get(connection, "wide", _wide)
    with wide.run(connection, {"patterns": json_list(patterns), NOW: now_ms}) as found:
        for row in found:
            contributor_id, allow, *may = tuple(row)
            for right in (right for right, given in zip(Right, may, strict=True) if given):
                (allowed if allow else denied)[right].add(contributor_id)
    narrow = [key for key, count in patterns.items() if count]
    return _Principal(
        Clearance(name, caller.may, bool(narrow)),
        {right: frozenset(allowed[right] - denied[right]) for right in Right},
        {right: frozenset(denied[right]) for right in Right},
        json_list(narrow),
    )


@lru_cache(maxsize=1024)
def _satisfied(assertions: Assertions) -> str:
    return json_list(sorted(assertions.satisfied_patterns()))


def _borne() -> Select[tuple[str, int]]:
    """Of the patterns satisfied (64 as a rule), those any grant bears, and how many narrow grants do."""
    key = grants.c.who_key
    return (
        select(key, func.count(grants.c.patient_key)).where(OneOf(key, bindparam("patterns"))).group_by(key)
    )


def _wide() -> CompoundSelect[Any]:
    """Contributor by contributor, what the wide grants in force allow or deny."""
    now: BindParameter[int] = bindparam(NOW)
    in_force = (
        OneOf(grants.c.who_key, bindparam("patterns")),
        grants.c.patient_key.is_(None),
        grants.c.not_before_ms <= now,
        grants.c.not_after_ms > now,
    )
    says = (grants.c.allow, *(grants.c[f"may_{right.value}"] for right in Right))
    unnamed = or_(grants.c.facility.is_(None), grants.c.facility == contributor.c.facility)
    return union_all(
        select(grants.c.contributor_id, *says).where(*in_force, grants.c.contributor_id.is_not(None)),
        select(contributor.c.id, *says)
        .select_from(grants)
        .join(contributor, unnamed)
        .where(*in_force, grants.c.contributor_id.is_(None)),
    )
