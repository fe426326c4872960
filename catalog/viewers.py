"""Who looks: callers and their grants, reduced to what a statement needs to know of them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Cast,
    CompoundSelect,
    Connection,
    Text,
    bindparam,
    cast,
    false,
    null,
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
    narrow: list[str] = []
    allowed: dict[Right, set[int]] = {right: set() for right in Right}
    denied: dict[Right, set[int]] = {right: set() for right in Right}
    held = _STATEMENTS.get(connection, "held", _held)
    for row in held.run(connection, {"patterns": _satisfied(caller.assertions), NOW: now_ms}):
        pattern, contributor_id, allow, *may = tuple(row)
        if pattern is not None:
            narrow.append(pattern)
        for right in (right for right, given in zip(Right, may, strict=True) if given):
            (allowed if allow else denied)[right].add(contributor_id)
    return _Principal(
        Clearance(name, caller.may, bool(narrow)),
        {right: frozenset(allowed[right] - denied[right]) for right in Right},
        {right: frozenset(denied[right]) for right in Right},
        json_list(narrow),
    )


@lru_cache(maxsize=1024)
def _satisfied(assertions: Assertions) -> str:
    return json_list(sorted(assertions.satisfied_patterns()))


def _held() -> CompoundSelect[Any]:
    """What a caller holds, in one round trip.

    Rows with a pattern: one that narrow grants bear, of those the caller satisfies. Rows without: what a
    wide grant in force says of a contributor.
    """
    now: BindParameter[int] = bindparam(NOW)
    no_pattern: Cast[str] = cast(null(), Text)
    satisfied = OneOf(grants.c.who_key, bindparam("patterns"))
    may = [grants.c[f"may_{right.value}"] for right in Right]
    wide = (
        satisfied,
        grants.c.patient_key.is_(None),
        grants.c.not_before_ms <= now,
        grants.c.not_after_ms > now,
    )
    unnamed = or_(grants.c.facility.is_(None), grants.c.facility == contributor.c.facility)
    return union_all(
        select(grants.c.who_key, cast(null(), BigInteger), false(), *(false() for _right in may))
        .where(satisfied, grants.c.patient_key.is_not(None))
        .distinct(),
        select(no_pattern, grants.c.contributor_id, grants.c.allow, *may).where(
            *wide, grants.c.contributor_id.is_not(None)
        ),
        select(no_pattern, contributor.c.id, grants.c.allow, *may)
        .select_from(grants)
        .join(contributor, unnamed)
        .where(*wide, grants.c.contributor_id.is_(None)),
    )
