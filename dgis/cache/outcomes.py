"""What the catalog says of an arriving instance, and what it is asked with."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import sqlalchemy as sa

from dgis.cache.extent import Extent
from dgis.cache.values import Location, StoreMeta


@dataclass(frozen=True, slots=True)
class Arrival:
    """A durable instance that the catalog is to take in; `open` gives its data set bytes."""

    meta: StoreMeta
    location: Location
    open: Callable[[], AbstractContextManager[Extent]]


@dataclass(frozen=True, slots=True)
class New:
    """The catalog did not know the instance and has its rows now."""

    phi_instance_id: int
    phi_series_id: int


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The catalog has this very instance: same SOP Instance UID, same bytes."""

    phi_instance_id: int
    phi_series_id: int
    published: bool


@dataclass(frozen=True, slots=True)
class Conflict:
    """The catalog has the SOP Instance UID with other bytes; the first bytes stay the instance."""

    phi_instance_id: int | None
    reason: str = "another instance has this SOP Instance UID"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """No attributes could be read from the data set; `reason` is words without any value."""

    reason: str


Outcome = New | Duplicate | Conflict | Unreadable

# Takes a batch in order, inside the caller's transaction; one outcome per arrival. An instance that cannot be
# read is an outcome, not an exception. Errors of the database and exception classes of one's own mean "not
# now": the batch comes again. ValueError and the like are taken for a bug that one of its instances meets.
Ingest = Callable[[sa.Connection, Sequence[Arrival]], Sequence[Outcome]]
