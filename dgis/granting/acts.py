"""Grants, links and consent as acts of somebody: each is written together with its record, or not at all.

All run inside the caller's transaction; its commit is the commit point. Before it nothing has changed, after
it the next decision of every door follows the change.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from catalog import grants, links
from catalog.audit import trail
from catalog.audit.values import Event, Happening, Json
from catalog.callers import Right
from catalog.grants import ANYONE, Grant, What
from catalog.links import Link
from dgis.granting.words import rights_words, what_words, who_words

CONSENT = "consent:"
"""Beginning of the origin of refusals."""

_SEEING = frozenset({Right.FIND, Right.RETRIEVE, Right.PHI, Right.SHARE})


class NotDone(Exception):  # noqa: N818 (a refusal, in the words of this project)
    """Nothing was changed; the text says why, and what would be right."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, in words for the trail, and in whose chain of the trail it is written; when (epoch ms)."""

    words: str
    writer: str
    now_ms: int
    address: str = ""


def give(connection: Connection, actor: Actor, wanted: Grant, *, linked: bool = False) -> list[Grant]:
    """Write a grant and return it; `linked`: on everybody the patient is linked with, too.

    A denial follows the links from then on. An allowance is written for each patient who is linked now: a
    link made later opens nothing.

    Raises:
        NotDone: it is over already, or `linked` does not fit what it is on.
    """
    if wanted.not_after_ms <= actor.now_ms:
        raise NotDone("the grant would be over already")
    wanted = replace(wanted, granted_by=actor.words)
    if not linked:
        return [_written(connection, actor, wanted)]
    patient_key = wanted.what.patient_key
    if patient_key is None or wanted.what != What(patient_key=patient_key):
        raise NotDone("only a whole patient, whoever contributed it, is named with its links")
    if not wanted.allow:
        return [_written(connection, actor, replace(wanted, what=replace(wanted.what, linked=True)))]
    person = [patient_key, *sorted(links.linked_with(connection, patient_key))]
    return [_written(connection, actor, replace(wanted, what=What(patient_key=key))) for key in person]


def revoke(connection: Connection, actor: Actor, grant_id: int) -> Grant:
    """End a grant and return it as it was.

    Raises:
        NotDone: there is none in force or to come, or the configuration gives it.
    """
    known = grants.by_id(connection, grant_id)
    if known is not None and (known.origin or "").startswith("configuration:"):
        raise NotDone("the configuration gives this grant: take it out of [[grants]] and start anew")
    if known is None or not grants.revoke(connection, grant_id, actor.now_ms):
        raise NotDone("no grant of that number is in force or to come (dgis grant list)")
    _record(connection, actor, "revoke", known)
    return known


def join(connection: Connection, actor: Actor, one: str, other: str, reason: str) -> None:
    """Say that two patients are one person. It opens nothing; denials that follow links cover both from now.

    Raises:
        NotDone: they are linked already, or the same patient.
    """
    if one == other:
        raise NotDone("both are the same patient")
    if not links.link(connection, Link(one, other, actor.now_ms, actor.words, reason)):
        raise NotDone("these two are linked already (dgis patient links)")
    _append(connection, actor, sorted((one, other)), {"act": "link", "reason": reason})


def part(connection: Connection, actor: Actor, one: str, other: str, reason: str) -> None:
    """Take back that two patients are one person. What was allowed on each stays.

    Raises:
        NotDone: these two are not linked with each other.
    """
    if not links.unlink(connection, one, other):
        raise NotDone("there is no link between these two (dgis patient links)")
    _append(connection, actor, sorted((one, other)), {"act": "unlink", "reason": reason})


def refuse(
    connection: Connection, actor: Actor, patient_key: str, reason: str, *, everything: bool = False
) -> Grant:
    """Write that a patient refuses consent: nobody sees originals (`everything`: nor the de-identified form).

    It wins over any allowance, and covers whoever the patient is linked with.

    Raises:
        NotDone: it is refused already.
    """
    may = _SEEING if everything else frozenset({Right.PHI})
    if any(may <= each.may for each in refusals(connection, patient_key) if each.holds_at(actor.now_ms)):
        raise NotDone("that is refused already (dgis consent list)")
    refusal = Grant(
        who=ANYONE,
        what=What(patient_key=patient_key, linked=True),
        may=may,
        allow=False,
        not_before_ms=actor.now_ms,
        granted_by=actor.words,
        reason=reason,
        origin=f"{CONSENT}{patient_key}:{actor.now_ms}:{len(may)}",
    )
    return _written(connection, actor, refusal, act="refuse")


def withdraw_refusal(connection: Connection, actor: Actor, patient_key: str) -> list[Grant]:
    """End what a patient refused and return it; what was refused of a linked patient is left alone.

    Raises:
        NotDone: nothing is refused under that patient.
    """
    standing = [each for each in refusals(connection, patient_key) if each.not_after_ms > actor.now_ms]
    if not standing:
        raise NotDone("nothing is refused under that patient (dgis consent list)")
    for each in standing:
        assert each.id is not None, "it was read"
        grants.revoke(connection, each.id, actor.now_ms)
        _record(connection, actor, "withdraw-refusal", each)
    return standing


def refusals(connection: Connection, patient_key: str) -> list[Grant]:
    """Return what was ever refused under a patient itself, oldest first."""
    return [each for each in grants.denials_of(connection, patient_key) if is_refusal(each)]


def is_refusal(grant: Grant) -> bool:
    """Whether a grant is a refusal of consent."""
    return (grant.origin or "").startswith(CONSENT)


def _written(connection: Connection, actor: Actor, wanted: Grant, act: str = "grant") -> Grant:
    written = grants.write(connection, wanted)
    _record(connection, actor, act, written)
    return written


def _record(connection: Connection, actor: Actor, act: str, grant: Grant) -> None:
    detail: dict[str, Json] = {
        "act": act,
        "grant": grant.id,
        "effect": "allow" if grant.allow else "deny",
        "who": who_words(grant.who),
        "what": what_words(grant.what),
        "may": rights_words(grant.may),
        "from_ms": grant.not_before_ms,
        "until_ms": grant.not_after_ms,
        "reason": grant.reason,
    }
    _append(connection, actor, [grant.what.patient_key] if grant.what.patient_key else [], detail)


def _append(connection: Connection, actor: Actor, patients: Sequence[str], detail: dict[str, Json]) -> None:
    happening = Happening(
        Event.GRANT, actor.words, address=actor.address, patients=tuple(patients), detail=detail
    )
    trail.append(connection, actor.writer, [happening], actor.now_ms)
