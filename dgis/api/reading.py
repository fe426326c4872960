"""`/api/status`, `/series`, `/nodes`, `/records`: how the grid stands, as the commands say it."""

import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Path, Request

from catalog.audit.values import Event, Happening
from catalog.callers import Caller
from catalog.credentials.values import Verified
from catalog.release import named
from dgis import nodes, overview
from dgis.api.access import Access, findable
from dgis.api.models import NodeState, OneSeries, SeriesPage, Status, StoredObject
from dgis.api.paging import Cursor, Limit, read_cursor, write_cursor
from dgis.api.problems import problems
from dgis.cache.log import ReceiveLog
from dgis.configuration import Configuration
from dgis.trail.recorder import Recorder
from dgis.web.logins import Logins, address_of, caller_of
from dgis.web.problems import Problem
from replica.fleet import Fleet
from replica.listing import objects_of
from storage_nodes.addresses import Kind
from storage_nodes.names import RecordKey

T = TypeVar("T")

_FRESH_SECONDS = 3.0  # counting goes through the index: whoever asks within it is told the same
_SCAN = 1000  # series looked at for one page of those that a caller may find
_OPEN = ("catalog", "cache", "parts", "scrub")
_NO_SERIES = Problem(404, "no_such_series", "no series of that key that this caller may find")

_Key = Annotated[str, Path(pattern=r"^[0-9.]{1,64}$", description="the series' pseudonym")]
_RecordKey = Annotated[str, Path(pattern=r"^[a-z0-9-][a-z0-9.-]{0,127}$", description="a record's key")]


@dataclass
class Reading:
    """Reads how the grid stands; one for a door."""

    configuration: Configuration
    access: Access
    log: ReceiveLog
    fleet: Fleet
    recorder: Recorder
    clock: Callable[[], float] = time.monotonic
    _counting: threading.Lock = field(default_factory=threading.Lock)
    _probing: threading.Lock = field(default_factory=threading.Lock)  # a dead node takes its time
    _status: tuple[float, dict[str, Any]] | None = None
    _probed: float | None = None

    def status(self, caller: Caller) -> dict[str, Any]:
        """Return all for administrators; for others numbers without a name in them."""
        told = self._everything()
        if self.access.administers(caller):
            return told
        copies = {name: told["copies"][name] for name in ("kinds", "available")}
        return {**{name: told[name] for name in _OPEN}, "copies": copies}

    def series(self, caller: Caller, after: tuple[int, int] | None, most: int) -> dict[str, Any]:
        """Return a page of series: all for administrators, for others those that they may find."""
        own, now_ms = self.configuration.gateway.name, self.access.clock_ms()
        everything = self.access.administers(caller)
        found: list[tuple[int, dict[str, Any]]] = []
        with self.access.reading() as connection:
            scan = most if everything else _SCAN
            page = overview.series_page(connection, own, before=after, most=scan)
            found = page if everything else findable(connection, caller, page, now_ms)
        more = len(page) == scan or len(found) > most
        found = found[:most]
        last = found[-1] if len(found) == most else (page[-1] if page else None)
        place = write_cursor(last[1]["last_received_ms"], last[0]) if more and last else None
        return {"items": [told for _number, told in found], "next": place}

    def one(self, caller: Caller, key: str) -> dict[str, Any]:
        """Return one series.

        Raises:
            Problem: 404 where there is none, or none that the caller may find.
        """
        own, now_ms = self.configuration.gateway.name, self.access.clock_ms()
        everything = self.access.administers(caller)
        with self.access.reading() as connection:
            page = overview.series_page(connection, own, key=key)
            if not (page if everything else findable(connection, caller, page, now_ms)):
                raise _NO_SERIES
            found = overview.one_series(connection, own, key)
        if found is None:
            raise _NO_SERIES
        return found

    def nodes(self) -> list[dict[str, Any]]:
        """Return how the nodes stand, asked anew now and then."""
        with self._probing:
            if self._probed is None or self.clock() - self._probed > _FRESH_SECONDS:
                self.fleet.probe()
                self._probed = self.clock()
        with self.access.reading() as connection:
            return nodes.rows(connection, self.configuration, self.fleet)

    def record(self, key: str) -> list[dict[str, Any]]:
        """Return the objects of a record and where they lie.

        Raises:
            Problem: 404 where the index knows none.
        """
        with self.access.reading() as connection:
            found = objects_of(connection, RecordKey(key))
        if not found:
            raise Problem(404, "no_such_record", "the index knows no record of that key")
        told = []
        for each in found:
            digest = each.sha256.hex() if each.kind is Kind.RECORD else None
            told.append({**asdict(each), "sha256": digest})
        return told

    def note(self, caller: Caller, address: str, what: str) -> None:
        """Record that somebody looked."""
        detail = {"door": "http", "how": what}
        self.recorder.add(Happening(Event.QUERY, named(caller), address=address, detail=dict(detail)))

    def _everything(self) -> dict[str, Any]:
        with self._counting:
            if self._status is None or self.clock() - self._status[0] > _FRESH_SECONDS:
                with self.access.reading() as connection:
                    now_ms = self.access.clock_ms()
                    told = overview.everything(connection, self.log, self.configuration, now_ms)
                self._status = (self.clock(), told)
            return self._status[1]


def routes(reading: Reading, logins: Logins) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix="/api", tags=["grid"])
    admitted = Annotated[Verified, Depends(logins.admit)]

    def told(request: Request, who: Verified, what: str, answer: T) -> T:
        """Record that somebody was told; what is refused is recorded as it leaves."""
        reading.note(caller_of(who), address_of(request), what)
        return answer

    @router.get("/status", responses=problems())
    def status(request: Request, who: admitted) -> Status:
        """Say what was received, what is pending, what is published, and how the copies stand."""
        return told(request, who, "status", Status.model_validate(reading.status(caller_of(who))))

    @router.get("/series", responses=problems())
    def list_series(request: Request, who: admitted, after: Cursor = None, limit: Limit = 100) -> SeriesPage:
        """List series, newest first, by pseudonym: those that the caller may find."""
        found = reading.series(caller_of(who), read_cursor(after), limit)
        return told(request, who, "series", SeriesPage.model_validate(found))

    @router.get("/series/{key}", responses=problems(404))
    def show_series(request: Request, who: admitted, key: _Key) -> OneSeries:
        """Show one series, its last error in words, and the keys of its records."""
        return told(request, who, "series", OneSeries.model_validate(reading.one(caller_of(who), key)))

    @router.get("/nodes", responses=problems(403))
    def list_nodes(request: Request, who: admitted) -> list[NodeState]:
        """List the storage nodes, for who administers the grid."""
        reading.access.demand(caller_of(who))
        return told(request, who, "nodes", [NodeState.model_validate(row) for row in reading.nodes()])

    @router.get("/records/{key}", responses=problems(403, 404))
    def show_record(request: Request, who: admitted, key: _RecordKey) -> list[StoredObject]:
        """Show where a record and its sealed companion lie, for who administers the grid."""
        reading.access.demand(caller_of(who))
        found = [StoredObject.model_validate(each) for each in reading.record(key)]
        return told(request, who, "records", found)

    return router
