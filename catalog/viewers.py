"""Who looks: callers and their grants, reduced to what a statement needs to know of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
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
from catalog.holdings import Asked, Held, held, remembered
from catalog.reach import Reach
from catalog.second_line import Standing, keep_to
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
    opening: frozenset[str]  # patterns of narrow grants that can allow it something
    opens: bool  # a narrow grant allows something
    parameters: Mapping[str, str]

    def may_hold(self, rights: frozenset[Right]) -> bool:
        """Whether any row can be there for which all of the rights hold."""
        if not rights <= self.clearance.may:
            return False
        return self.opens or bool(frozenset.intersection(*(self.allowed[right] for right in rights)))


def viewer(
    connection: Connection, right: Right, callers: Sequence[Caller], now_ms: int, reach: Reach | None = None
) -> Viewer:
    """Return what these callers may see together: one who asks, and where given the destination.

    Who finds something as an original does not find its de-identified form; who retrieves names one of both.
    """
    asked = [Asked(each.assertions, _satisfied(each.assertions), now_ms) for each in callers]
    # What is remembered of grants mostly stands: the transaction is narrowed by it in the same round trip
    # that tells whether it does.
    known = [each for one in asked if (each := remembered(connection, one)) is not None]
    seen = _seen(right, callers, known) if len(known) == len(asked) else None
    stands = _narrow(connection, seen, reach, now_ms)
    if seen is None or any(each.epoch != stands.epoch for each in known):
        seen = _seen(right, callers, [_held_by(connection, one, stands.epoch) for one in asked])
        stands = _narrow(connection, seen, reach, now_ms)
    # A reach has its cost, and mostly nothing lies outside of it.
    access = replace(seen.access, reach=reach) if stands.elsewhere else seen.access
    return Viewer(access, {**seen.parameters, NOW: now_ms})


@dataclass(frozen=True, slots=True)
class _Seen:
    """What callers may see together, the parameters that say so, and the one who asks."""

    access: Access
    parameters: Mapping[str, object]
    asker: _Principal


def _seen(right: Right, callers: Sequence[Caller], held_by: Sequence[Held]) -> _Seen:
    principals = tuple(
        _reduced(name, caller.may, holding, _opening(caller.assertions))
        for name, caller, holding in zip(_NAMES, callers, held_by, strict=False)
    )
    return _Seen(*_together(right, principals), principals[0])


def _narrow(connection: Connection, seen: _Seen | None, reach: Reach | None, now_ms: int) -> Standing:
    """Keep the transaction to what grants of `phi` could open to the asker, who may not be known yet.

    For whom no original is, nothing is asked that depends on originals.
    """
    if seen is None or not seen.access.originals:
        return keep_to(connection, (), (), now_ms)
    return keep_to(connection, seen.asker.allowed[Right.PHI], seen.asker.opening, now_ms, reach)


def _held_by(connection: Connection, asked: Asked, epoch: int | None) -> Held:
    look = partial(_look, connection, {"patterns": asked.patterns, NOW: asked.now_ms})
    return held(connection, asked, epoch, look)


@lru_cache(maxsize=1024)
def _together(right: Right, principals: tuple[_Principal, ...]) -> tuple[Access, Mapping[str, object]]:
    """What these principals may see together, and the parameters that say so."""
    access = Access(
        right,
        tuple(each.clearance for each in principals),
        originals_first=right is Right.FIND,
        anything=all(each.may_hold(frozenset({right})) for each in principals),
        originals=all(each.may_hold(frozenset({right, Right.PHI})) for each in principals),
    )
    return access, {name: value for each in principals for name, value in each.parameters.items()}


@lru_cache(maxsize=1024)
def _reduced(name: str, may: frozenset[Right], holding: Held, opening: frozenset[str] | None) -> _Principal:
    """What rows of grants come to, for a principal with this ceiling.

    `opening` are the only patterns by which it may be allowed something; wide grants have none of those.
    """
    narrow: set[str] = set()
    linked = opens = False
    allowed: dict[Right, set[int]] = {right: set() for right in Right}
    denied: dict[Right, set[int]] = {right: set() for right in Right}
    for row in holding.rows:
        pattern, follows, contributor_id, allow, *given = row
        if pattern is not None:
            narrow.add(pattern)
            may_open = opening is None or pattern in opening
            linked, opens = linked or bool(follows), opens or bool(allow and may_open)
        elif allow and opening is not None:
            continue
        for right in (right for right, named in zip(Right, given, strict=True) if named):
            (allowed if allow else denied)[right].add(contributor_id)
    clearance = Clearance(name, may, bool(narrow), linked)
    left = {right: frozenset(allowed[right] - denied[right]) for right in Right}
    refused = {right: frozenset(denied[right]) for right in Right}
    opened = narrow if opening is None else narrow & opening
    parameters = {
        clearance.patterns: json_list(sorted(narrow)),
        clearance.opening: json_list(sorted(opened)),
    }
    for right in (Right.FIND, Right.RETRIEVE, Right.PHI):
        parameters[clearance.allowed(right)] = json.dumps(sorted(left[right]))
        parameters[clearance.denied(right)] = json.dumps(sorted(refused[right]))
    return _Principal(clearance, left, refused, frozenset(opened), opens, parameters)


def _look(connection: Connection, bound: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    return _STATEMENTS.get(connection, "held", _held).rows(connection, bound)


@lru_cache(maxsize=1024)
def _satisfied(assertions: Assertions) -> str:
    return json_list(sorted(assertions.satisfied_patterns()))


@lru_cache(maxsize=1024)
def _opening(assertions: Assertions) -> frozenset[str] | None:
    """The only patterns by which something may be allowed; None: all that it satisfies."""
    return frozenset(assertions.opening_patterns()) if assertions.alone else None


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
