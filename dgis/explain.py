"""Why a caller may or may not: the chain of rules for one study, in words, as the decision follows it.

What is explained is decided by `catalog.decision` on the grants and links in the database. Nothing is
released by it, and nothing but keys, staff and institutions is named in it, and what was typed. That
something exists is told, so it is for those who administer: a door that offers it asks for that right.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, select

from catalog import grants, links
from catalog.callers import Assertions, Caller, Right
from catalog.decision import Granted, Step, Subject, covers, decide, decide_all
from catalog.grants import Grant
from catalog.tables import FAMILIES, Family, contributor
from dgis.granting.words import asserted_words, grant_words, rights_words, term_words, who_words
from dgis.identity.wire import from_json

_MOST_MISSES = 3


@dataclass(frozen=True, slots=True)
class Operation:
    """What somebody wants to do with a study: a right (find, retrieve, ...), of originals or not.

    `original` None: as the UID says. An original UID names originals, a pseudonym the de-identified form.
    `receiver` is who receives in a transfer to somebody else (C-MOVE); both need the rights then.
    """

    right: Right
    original: bool | None = None
    receiver: Caller | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One step of an explanation: what was looked at, and whether the way went on from there."""

    about: str
    words: str
    holds: bool
    right: str | None = None
    grant: int | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer and the way to it; `granted`: at least one series of the study may be had."""

    granted: bool
    caller: str
    operation: str
    uid: str = field(repr=False)
    steps: tuple[Line, ...]

    def json(self) -> dict[str, Any]:
        """Return it for scripts and the web door."""
        names = Line.__slots__
        steps = [{name: getattr(line, name) for name in names} for line in self.steps]
        told = {"granted": self.granted, "caller": self.caller, "operation": self.operation}
        return {**told, "study": self.uid, "steps": steps}


def explain(
    connection: Connection,
    caller: Caller,
    operation: Operation | Right,
    uid: str,
    now_ms: int,
) -> Explanation:
    """Explain whether a caller may do something with a study.

    Args:
        connection: to the catalog; it is only read.
        caller: who asks.
        operation: a right, or with it whether originals are meant.
        uid: Study Instance UID, an original one or a pseudonym.
        now_ms: the moment of the decision, epoch milliseconds.
    """
    asked = operation if isinstance(operation, Operation) else Operation(operation)
    found = _series(connection, uid)
    original = _means_original(found, uid) if asked.original is None else asked.original
    question = _Question(
        connection, [caller, *([asked.receiver] if asked.receiver else [])], asked.right, original, now_ms
    )
    about_callers = tuple(line for each in question.callers for line in _introduced(each))
    told = [question.told(same) for same in _contributions(found)]
    lines = tuple(line for _granted, part in told for line in part)
    if not found:
        lines = (Line("the study", "no study is known by this UID", holds=False),)
    return Explanation(
        granted=any(granted for granted, _part in told),
        caller=caller.name,
        operation=f"{asked.right.value} {'originals' if original else 'the de-identified form'}",
        uid=uid,
        steps=about_callers + lines,
    )


@dataclass(frozen=True, slots=True)
class _Series:
    """A series of the study, as one contributor has sent it, in either family or both."""

    subject: Subject
    said: Assertions
    originals: int = 0
    published: int = 0
    named_by_original: bool = False


def _series(connection: Connection, uid: str) -> list[_Series]:
    """Return the series of the study in the order of who contributed what of whom."""
    every: dict[Subject, _Series] = {}
    named = (family.study.c for family in FAMILIES)
    keys = {uid}.union(
        *(connection.scalars(select(each.study_key).where(each.study_instance_uid == uid)) for each in named)
    )
    for family in FAMILIES:
        for row in connection.execute(_rows(family, keys)):
            subject = Subject(row.facility, *row[2:6])
            known = every.get(subject) or _Series(subject, from_json(json.loads(row.assertions)))
            if family.original:
                by_uid = row.study_instance_uid == uid != row.study_key
                known = replace(known, originals=row.instance_count, named_by_original=by_uid)
            else:
                known = replace(known, published=row.instance_count)
            every[subject] = known
    linked = {key: links.linked_with(connection, key) for key in {one.patient_key for one in every}}
    whole = [
        replace(one, subject=replace(one.subject, linked=linked[one.subject.patient_key]))
        for one in every.values()
    ]
    return sorted(whole, key=_place)


def _rows(family: Family, keys: Iterable[str]) -> Any:  # noqa: ANN401 (a statement of many columns)
    study, series = family.study, family.series
    columns = (series.c.contributor_id, series.c.patient_key, series.c.study_key, series.c.series_key)
    return (
        select(
            contributor.c.facility,
            contributor.c.assertions,
            *columns,
            series.c.instance_count,
            study.c.study_instance_uid,
        )
        .join(study, study.c.id == series.c.study_row)
        .join(contributor, contributor.c.id == series.c.contributor_id)
        .where(series.c.study_key.in_(keys))
    )


def _means_original(found: Sequence[_Series], uid: str) -> bool:
    return any(one.named_by_original for one in found) and all(one.subject.study_key != uid for one in found)


def _place(one: _Series) -> tuple[int, str, str]:
    return (one.subject.contributor_id, one.subject.patient_key, one.subject.series_key)


def _contributions(found: Iterable[_Series]) -> Iterator[list[_Series]]:
    """Yield the series that one contributor has sent of one patient."""
    for _same, each in groupby(found, key=lambda one: _place(one)[:2]):
        yield list(each)


def _introduced(caller: Caller) -> Iterator[Line]:
    about = f"the caller {caller.name}".rstrip()
    yield Line(about, f"asserts {asserted_words(caller.assertions)}", holds=True)
    yield Line(about, f"its ceiling is {rights_words(caller.may)}", holds=True)


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked by whom, at what time, and of which form."""

    connection: Connection
    callers: Sequence[Caller]
    right: Right
    original: bool
    now_ms: int

    @property
    def rights(self) -> frozenset[Right]:
        return frozenset({self.right, Right.PHI} if self.original else {self.right})

    def told(self, contribution: Sequence[_Series]) -> tuple[bool, list[Line]]:
        """Explain the series of one contribution; those that fare alike are told of once."""
        first = contribution[0].subject
        given = grants.about(self.connection, {first.patient_key, *first.linked})
        fates: dict[tuple[bool, tuple[Line, ...]], int] = {}
        for one in contribution:
            fate = self._fate(one, given)
            fates[fate] = fates.get(fate, 0) + 1
        where = (
            f"contributor {first.contributor_id} ({asserted_words(contribution[0].said)}) at {first.facility}"
        )
        lines: list[Line] = []
        for number, ((_granted, part), count) in enumerate(fates.items(), 1):
            # Series that fare differently are told apart, also where they are as many.
            which = f" ({number} of {len(fates)})" if len(fates) > 1 else ""
            about = f"{count} series of patient {first.patient_key}, {where}{which}"
            lines += [replace(line, about=about) for line in part]
        return any(granted for granted, _part in fates), lines

    def _fate(self, one: _Series, given: Sequence[Grant]) -> tuple[bool, tuple[Line, ...]]:
        there = _there(one, original=self.original)
        granted, chain = there.holds, list[Line]()
        for caller in self.callers:
            decision = decide(caller, self.rights, one.subject, given, self.now_ms)
            granted = granted and isinstance(decision, Granted)
            chain += [self._line(caller, step, one.subject, given) for step in decision.chain]
        if granted and self._seen_as_original(one, given):
            chain.append(Line("", "found as originals; the de-identified form is left out then", holds=True))
        return granted, (there, *chain)

    def _seen_as_original(self, one: _Series, given: Sequence[Grant]) -> bool:
        if self.original or self.right is not Right.FIND or not one.originals:
            return False
        both = frozenset({Right.FIND, Right.PHI})
        return isinstance(decide_all(self.callers, both, one.subject, given, self.now_ms), Granted)

    def _line(self, caller: Caller, step: Step, subject: Subject, given: Sequence[Grant]) -> Line:
        words = step.words if len(self.callers) == 1 else f"{caller.name}: {step.words}"
        rule = next((grant for grant in given if grant.id == step.grant_id), None)
        if rule is not None:
            words = f"{words} ({grant_words(rule)})"
        elif step.right in caller.may:
            words = "; ".join([words, *self._misses(step, subject, given)])
        return Line("", words, step.holds, step.right.value, step.grant_id)

    def _misses(self, step: Step, subject: Subject, given: Sequence[Grant]) -> Iterator[str]:
        """Name a few grants that would have given it to somebody else, or at another time."""
        near = (
            each for each in given if each.allow and step.right in each.may and covers(each.what, subject)
        )
        for each, _number in zip(near, range(_MOST_MISSES), strict=False):
            if each.holds_at(self.now_ms):
                yield f"grant {each.id} asks for {who_words(each.who)}"
            else:
                yield f"grant {each.id} for {who_words(each.who)} holds {term_words(each)}"


def _there(one: _Series, *, original: bool) -> Line:
    count = one.originals if original else one.published
    if original:
        words = f"{count} originals are here" if count else "there are no originals (erased, or never here)"
    elif count:
        words = f"{count} instances are published"
    else:
        words = "nothing is published (not yet, or withheld)"
    return Line("", words, holds=count > 0)
