"""Release: the one way to originals' rows. What is released is in the trail before it leaves.

Looking up and recording are one transaction: a release that cannot be recorded does not happen, and what was
recorded was decided on the same rows. De-identified answers need no record to leave; doors count them.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError

from catalog.audit import trail
from catalog.audit.values import Event, Happening, Json
from catalog.callers import Caller
from catalog.find import Match, find
from catalog.query import Level, Query
from catalog.reach import Reach
from catalog.retrieve import InstanceRef, instances

_T = TypeVar("_T")

# A page of originals is one record; pages grow, so that a large answer is not sorted anew too often.
_FIRST_PAGE = 1_000
_LAST_PAGE = 16_000
_PAGE_GROWTH = 4
_MOST_VALUES = 20  # of one key, in the record of a query
_LONGEST_VALUE = 128
_MOST_PATIENTS = 1_000
_MOST_STUDIES = 1_000


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, from where; in a transfer to somebody else also who receives."""

    caller: Caller
    address: str = ""
    receiver: Caller | None = None

    @property
    def words(self) -> str:
        """Who it is, as the trail names callers."""
        return named(self.caller)


class Releases:
    """Answers finds and retrieves of one writer (a gateway's door, a command) under the decision."""

    def __init__(
        self, engine: Engine, writer: str, clock_ms: Callable[[], int], reach: Reach | None = None
    ) -> None:
        self._engine = engine
        self._deferred = engine.execution_options(deferred=True)
        self._writer = writer
        self._clock_ms = clock_ms
        self._reach = reach

    def find(self, query: Query, asker: Asker) -> Iterator[Match]:
        """Find as `catalog.find.find`; originals leave page by page, each page recorded first.

        Raises:
            InvalidQuery: at once, before anything is looked up.
            SQLAlchemyError: the database does not answer, or does not take the record: nothing is released.
        """
        first, more = self._page(query, asker, _FIRST_PAGE)
        return chain(first, self._further(query, asker, first)) if more else iter(first)

    def retrieve(self, query: Query, asker: Asker) -> list[InstanceRef]:
        """Resolve as `catalog.retrieve.instances`; that originals were named is recorded first.

        Raises:
            InvalidQuery: at once, before anything is looked up.
            SQLAlchemyError: as `find`.
        """

        def look(connection: Connection, now_ms: int) -> tuple[list[InstanceRef], Sequence[Happening]]:
            found = list(
                instances(connection, query, asker.caller, asker.receiver, now_ms, reach=self._reach)
            )
            originals = [ref for ref in found if ref.original]
            studies = Counter((ref.patient_key, ref.study_key) for ref in originals)
            return found, _released(query, asker, "retrieve", len(originals), studies)

        return self._recorded(look)

    def resolve(self, query: Query, asker: Asker) -> list[InstanceRef]:
        """Resolve as `retrieve`, for work of which nothing is told to anybody: nothing is recorded.

        Raises:
            InvalidQuery: at once, before anything is looked up.
            SQLAlchemyError: the database does not answer.
        """
        with self._engine.execution_options(read_only=True).connect() as connection:
            found = instances(
                connection, query, asker.caller, asker.receiver, self._clock_ms(), reach=self._reach
            )
            return list(found)

    def _page(self, query: Query, asker: Asker, size: int) -> tuple[list[Match], bool]:
        """Return a page of matches, and whether there are more than that, up to the limit of the query."""
        limit = size + 1 if query.limit is None else min(size + 1, query.limit)

        def look(connection: Connection, now_ms: int) -> tuple[tuple[list[Match], bool], Sequence[Happening]]:
            known = list(find(connection, replace(query, limit=limit), asker.caller, now_ms, self._reach))
            found = known[:size]  # what is behind stays here
            originals = [match for match in found if match.original]
            named = [] if query.level is Level.IMAGE else [match.entity for match in originals]
            studies = Counter((each[-1], each[-2] if len(each) > 1 else "") for each in named)
            released = _released(query, asker, "find", len(originals), studies)
            return (found, len(known) > size), released

        return self._recorded(look)

    def _further(self, query: Query, asker: Asker, page: list[Match]) -> Iterator[Match]:
        size, left, more = _FIRST_PAGE, query.limit, True
        while more:
            left = None if left is None else left - size
            size = min(size * _PAGE_GROWTH, _LAST_PAGE)
            page, more = self._page(replace(query, after=page[-1].cursor, limit=left), asker, size)
            yield from page

    def _recorded(self, look: Callable[[Connection, int], tuple[_T, Sequence[Happening]]]) -> _T:
        """Look something up and record what that releases, in one transaction."""
        now_ms = self._clock_ms()
        for engine in (self._deferred, self._engine):
            try:
                with engine.begin() as connection:
                    found, happenings = look(connection, now_ms)
                    trail.append(connection, self._writer, happenings, now_ms)
                    return found
            except OperationalError:
                # On SQLite a reader whose snapshot is no longer the newest cannot begin to write: once more,
                # as a writer from the start. Any other trouble shows again.
                if engine is self._engine or engine.dialect.name != "sqlite":
                    raise
        raise AssertionError("the second attempt returns or raises")


def named(caller: Caller) -> str:
    """Return principal and issuer in one text: `AE_TITLE <user@issuer>` (IHE ITI TF-2 3.40.4.2)."""
    said = caller.assertions
    return f"{caller.name} <{said.user or ''}@{said.issuer or ''}>"


def _released(
    query: Query, asker: Asker, how: str, count: int, studies: Collection[tuple[str, str]]
) -> Sequence[Happening]:
    """Return the record of what is released; `studies` are pairs of patient and study key."""
    if not count:
        return ()
    distinct = tuple(dict.fromkeys(patient for patient, _study in studies))
    detail: dict[str, Json] = {"how": how, **asked(query)}
    known: list[Json] = [{"patient": patient, "study": study} for patient, study in studies if study]
    if known:
        detail["studies"] = known[:_MOST_STUDIES]
    if len(known) > _MOST_STUDIES:
        detail["studies_in_all"] = len(known)
    if len(distinct) > _MOST_PATIENTS:
        detail["patients_in_all"] = len(distinct)
    if asker.receiver is not None:
        detail["receiver"] = named(asker.receiver)
    return (
        Happening(
            Event.RELEASE,
            asker.words,
            address=asker.address,
            count=count,
            patients=distinct[:_MOST_PATIENTS],
            detail=detail,
        ),
    )


def asked(query: Query) -> dict[str, Json]:
    """Return what a query asked, as the trail keeps it; long lists and values are cut, and say so."""
    keys: dict[str, Json] = {}
    for key in query.keys:
        if key.universal:
            continue
        values: list[Json] = [value[:_LONGEST_VALUE] for value in key.values[:_MOST_VALUES]]
        left = len(key.values) - len(values)
        keys[key.keyword] = [*values, f"and {left} more"] if left else values
    return {"root": query.root.value, "level": query.level.value, "keys": keys}
