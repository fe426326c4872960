"""Grants: who - what - may - until when - by whom; and how they are kept."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, RowMapping, and_, bindparam, delete, insert, or_, select, update

from catalog.callers import PATTERN_FIELDS, Assertions, Facts, Right, pattern_key
from catalog.sql import OneOf, insert_ignoring, json_list
from catalog.tables import grants

FOR_EVER_MS = 253_402_300_800_000
"""The year 10000: a grant without an end."""


@dataclass(frozen=True, slots=True)
class Who:
    """A conjunction of asserted facts; None is not asked for. `Anyone` asks for nothing."""

    issuer: str | None = None
    user: str | None = None
    department: str | None = None
    institution: str | None = None
    role: str | None = None
    purpose: str | None = None

    @property
    def facts(self) -> Facts:
        """The (field, value) pairs a caller must assert, all of them."""
        pairs = ((field, getattr(self, field)) for field in PATTERN_FIELDS)
        return tuple((field, value) for field, value in pairs if value is not None)

    @property
    def key(self) -> str:
        """The index key of this pattern."""
        return pattern_key(self.facts)

    def satisfied_by(self, assertions: Assertions) -> bool:
        """Whether every fact asked for is asserted."""
        return all(value in assertions.values(field) for field, value in self.facts)


ANYONE = Who()


@dataclass(frozen=True, slots=True)
class What:
    """A conjunction of keys; with none of them it is everything.

    Either wide (facility, contributor) or narrow: a patient, a study of it, a series of that, each as
    contributed by everybody or by one contributor. `linked` adds to a patient whoever it is linked with
    (`catalog.links`) when the decision is made.
    """

    facility: str | None = None
    contributor_id: int | None = None
    patient_key: str | None = None
    study_key: str | None = None
    series_key: str | None = None
    linked: bool = False

    def __post_init__(self) -> None:
        if self.linked and (self.patient_key is None or self.study_key is not None or self.contributor_id):
            raise ValueError("only a whole patient, whoever contributed it, is named with its links")
        if self.facility is not None and (self.contributor_id is not None or self.patient_key is not None):
            raise ValueError("a facility stands alone: contributors and patients lie within one")
        if self.study_key is not None and self.patient_key is None:
            raise ValueError("a study is named with its patient: its UID alone may be reused")
        if self.series_key is not None and self.study_key is None:
            raise ValueError("a series is named with its study")


@dataclass(frozen=True, slots=True)
class Grant:
    """One rule. It holds from `not_before_ms` until just before `not_after_ms` (epoch milliseconds).

    `origin` names what wrote it (a setting, a publication), so that it is written once however often that
    happens, and stays revoked once it was.
    """

    who: Who
    what: What
    may: frozenset[Right]
    allow: bool = True
    not_before_ms: int = 0
    not_after_ms: int = FOR_EVER_MS
    granted_by: str = ""
    reason: str = ""
    origin: str | None = None
    id: int | None = None

    def __post_init__(self) -> None:
        if not self.may:
            raise ValueError("a grant names at least one right")
        if self.not_after_ms <= self.not_before_ms:
            raise ValueError("a grant ends after it begins")
        if self.allow and self.what.linked:
            raise ValueError("a link opens nothing: what is allowed names each patient itself")

    def holds_at(self, now_ms: int) -> bool:
        """Whether the grant is in force."""
        return self.not_before_ms <= now_ms < self.not_after_ms


def everyone_finds_deidentified() -> Grant:
    """Return the default grant: whoever is admitted may find and retrieve what is de-identified."""
    return Grant(
        who=ANYONE,
        what=What(),
        may=frozenset({Right.FIND, Right.RETRIEVE}),
        granted_by="configuration",
        reason="the de-identified form is open to every admitted caller",
        origin="default:deidentified",
    )


def write(connection: Connection, grant: Grant) -> Grant:
    """Write a grant and return it with its id."""
    result = connection.execute(insert(grants).returning(grants.c.id), _row(grant))
    return replace(grant, id=result.scalar_one())


def write_once(connection: Connection, given: Sequence[Grant]) -> None:
    """Write grants that name their origin, leaving alone what that origin has written before."""
    if given:
        connection.execute(insert_ignoring(connection, grants), [_row(grant) for grant in given])


def keep_standing(connection: Connection, prefix: str, wanted: Sequence[Grant], now_ms: int) -> None:
    """Make the grants whose origin begins with `prefix` be exactly those wanted, from now on.

    One that is no longer wanted ends; one that ended and is wanted again holds again.
    """
    origins = [grant.origin for grant in wanted]
    ours = grants.c.origin.startswith(prefix, autoescape=True)
    gone = update(grants).where(ours, grants.c.origin.not_in(origins), grants.c.not_after_ms > now_ms)
    connection.execute(gone.values(not_after_ms=now_ms))
    write_once(connection, wanted)
    again = update(grants).where(grants.c.origin.in_(origins), grants.c.not_after_ms <= now_ms)
    connection.execute(again.values(not_after_ms=FOR_EVER_MS))


def revoke(connection: Connection, grant_id: int, now_ms: int) -> bool:
    """End a grant now; False where it had ended already, or there is none. The row stays, for the record.

    One that has not begun never said anything: its row goes.
    """
    unborn = delete(grants).where(grants.c.id == grant_id, grants.c.not_before_ms >= now_ms)
    if connection.execute(unborn).rowcount:
        return True
    ended = (
        update(grants)
        .where(grants.c.id == grant_id, grants.c.not_after_ms > now_ms)
        .values(not_after_ms=now_ms)
        .returning(grants.c.id)
    )
    return connection.execute(ended).first() is not None


def held_by(connection: Connection, assertions: Assertions) -> list[Grant]:
    """Return every grant whose pattern the assertions satisfy, in force or not, oldest first."""
    statement = select(grants).where(OneOf(grants.c.who_key, bindparam("patterns"))).order_by(grants.c.id)
    patterns = json_list(assertions.satisfied_patterns())
    return list(_grants(connection.execute(statement, {"patterns": patterns}).mappings()))


def about(connection: Connection, patient_keys: Collection[str]) -> list[Grant]:
    """Return every grant that may speak of one of these patients, in force or not, oldest first."""
    named = OneOf(grants.c.patient_key, bindparam("patients"))
    found = select(grants).where(or_(grants.c.patient_key.is_(None), named)).order_by(grants.c.id)
    return list(_grants(connection.execute(found, {"patients": json_list(patient_keys)}).mappings()))


def by_id(connection: Connection, grant_id: int) -> Grant | None:
    """Return one grant."""
    found = select(grants).where(grants.c.id == grant_id)
    return next(_grants(connection.execute(found).mappings()), None)


def every(connection: Connection) -> Iterator[Grant]:
    """Yield all grants, oldest first."""
    return _grants(connection.execute(select(grants).order_by(grants.c.id)).mappings())


def denials_of(connection: Connection, patient_key: str) -> list[Grant]:
    """Return every denial that names the patient as a whole, in force or not, oldest first."""
    named = and_(grants.c.patient_key == patient_key, grants.c.study_key.is_(None))
    found = select(grants).where(named, grants.c.allow.is_(False)).order_by(grants.c.id)
    return list(_grants(connection.execute(found).mappings()))


_WHAT = ("facility", "contributor_id", "patient_key", "study_key", "series_key", "linked")
_PLAIN = ("allow", "not_before_ms", "not_after_ms", "granted_by", "reason", "origin")


def _row(grant: Grant) -> dict[str, object]:
    return {
        "who_key": grant.who.key,
        **{f"who_{field}": getattr(grant.who, field) for field in PATTERN_FIELDS},
        **{name: getattr(grant.what, name) for name in _WHAT},
        **{f"may_{right.value}": right in grant.may for right in Right},
        **{name: getattr(grant, name) for name in _PLAIN},
    }


def _grants(rows: Iterable[RowMapping]) -> Iterator[Grant]:
    for row in rows:
        yield Grant(
            who=Who(**{field: row[f"who_{field}"] for field in PATTERN_FIELDS}),
            what=What(**{name: row[name] for name in _WHAT}),
            may=frozenset(right for right in Right if row[f"may_{right.value}"]),
            id=row["id"],
            **{name: row[name] for name in _PLAIN},
        )
