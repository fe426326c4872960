"""Who looks: callers and their grants, reduced to what a statement needs to know of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Cast,
    CompoundSelect,
    Connection,
    CursorResult,
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
from catalog.holdings import Held, held
from catalog.second_line import keep_to
from catalog.sql import OneOf, Statements, json_list
from catalog.tables import contributor, grants

_NAMES = ("who", "destination")
_STATEMENTS = Statements(8)

Ids = frozenset[int]


@dataclass(frozen=True, slots=True, eq=False)
class _Principal:
    """One of those concerned, by what it holds; equal only to itself, so that it is a cheap key."""

    clearance: Clearance
    allowed: Mapping[Right, Ids]
    denied: Mapping[Right, Ids]
    narrow: frozenset[str]
    opens: bool  # a narrow grant allows something
    parameters: Mapping[str, str]

    def may_hold(self, rights: frozenset[Right]) -> bool:
        """Whether any row can be there for which all of the rights hold."""
        if not rights <= self.clearance.may:
            return False
        return self.opens or bool(frozenset.intersection(*(self.allowed[right] for right in rights)))


def viewer(
    connection: Connection, right: Right, callers: Sequence[Caller], now_ms: int, *, originals_first: bool
) -> Viewer:
    """Return what these callers may see together: one who asks, and where given the destination."""
    principals = tuple(
        _principal(connection, name, caller, now_ms) for name, caller in zip(_NAMES, callers, strict=False)
    )
    access, parameters = _together(right, principals, originals_first=originals_first)
    asker = principals[0]
    originals = access.originals
    keep_to(
        connection,
        asker.allowed[Right.PHI] if originals else (),
        asker.narrow if originals else (),
        now_ms,
    )
    return Viewer(access, {**parameters, NOW: now_ms})


@lru_cache(maxsize=1024)
def _together(
    right: Right, principals: tuple[_Principal, ...], *, originals_first: bool
) -> tuple[Access, Mapping[str, object]]:
    """What these principals may see together, and the parameters that say so."""
    access = Access(
        right,
        tuple(each.clearance for each in principals),
        originals_first,
        anything=all(each.may_hold(frozenset({right})) for each in principals),
        originals=all(each.may_hold(frozenset({right, Right.PHI})) for each in principals),
    )
    return access, {name: value for each in principals for name, value in each.parameters.items()}


def _principal(connection: Connection, name: str, caller: Caller, now_ms: int) -> _Principal:
    patterns = _satisfied(caller.assertions)
    look = partial(_look, connection, {"patterns": patterns, NOW: now_ms})
    return _reduced(name, caller.may, held(connection, caller.assertions, patterns, now_ms, look))


@lru_cache(maxsize=1024)
def _reduced(name: str, may: frozenset[Right], holding: Held) -> _Principal:
    """What rows of grants come to, for a principal with this ceiling."""
    narrow: set[str] = set()
    linked = opens = False
    allowed: dict[Right, set[int]] = {right: set() for right in Right}
    denied: dict[Right, set[int]] = {right: set() for right in Right}
    for row in holding.rows:
        pattern, follows, contributor_id, allow, *given = row
        if pattern is not None:
            narrow.add(pattern)
            linked, opens = linked or bool(follows), opens or bool(allow)
        for right in (right for right, named in zip(Right, given, strict=True) if named):
            (allowed if allow else denied)[right].add(contributor_id)
    clearance = Clearance(name, may, bool(narrow), linked)
    left = {right: frozenset(allowed[right] - denied[right]) for right in Right}
    refused = {right: frozenset(denied[right]) for right in Right}
    parameters = {clearance.patterns: json_list(sorted(narrow))}
    for right in (Right.FIND, Right.RETRIEVE, Right.PHI):
        parameters[clearance.allowed(right)] = json.dumps(sorted(left[right]))
        parameters[clearance.denied(right)] = json.dumps(sorted(refused[right]))
    return _Principal(clearance, left, refused, frozenset(narrow), opens, parameters)


def _look(connection: Connection, bound: Mapping[str, Any]) -> CursorResult[Any]:
    return _STATEMENTS.get(connection, "held", _held).run(connection, bound)


@lru_cache(maxsize=1024)
def _satisfied(assertions: Assertions) -> str:
    return json_list(sorted(assertions.satisfied_patterns()))


def _held() -> CompoundSelect[Any]:
    """What a caller holds, in one round trip.

    Rows with a pattern: one that narrow grants bear, of those the caller satisfies, with whether they follow
    links, and allow. Rows without: what a wide grant in force says of a contributor.
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
        select(
            grants.c.who_key,
            grants.c.linked,
            cast(null(), BigInteger),
            grants.c.allow,
            *(false() for _right in may),
        )
        .where(satisfied, grants.c.patient_key.is_not(None))
        .distinct(),
        select(no_pattern, false(), grants.c.contributor_id, grants.c.allow, *may).where(
            *wide, grants.c.contributor_id.is_not(None)
        ),
        select(no_pattern, false(), contributor.c.id, grants.c.allow, *may)
        .select_from(grants)
        .join(contributor, unnamed)
        .where(*wide, grants.c.contributor_id.is_(None)),
    )
