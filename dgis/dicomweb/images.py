"""What the web door finds and gives out: the decision, its record and the bytes, as over DICOM."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from catalog.audit.values import Event, Happening, Json, Outcome
from catalog.callers import Caller, Right
from catalog.credentials.values import Verified
from catalog.find import Match
from catalog.query import Query
from catalog.release import Asker, Releases, asked
from catalog.retrieve import InstanceRef
from dgis.cache.index import CacheIndex
from dgis.dicomweb.laid import Layouts, layouts
from dgis.dicomweb.named import Named
from dgis.keyholder.protocol import KeyholderGone
from dgis.retriever.outgoing import Sendable
from dgis.retriever.records import NotHere, Shelf
from dgis.retriever.retriever import Retriever
from dgis.trail.recorder import Recorder, with_asked
from dgis.transactions import DOOR, again
from dgis.transcode.transcoder import GatewayTranscoder
from dgis.web.problems import Problem

AWAY = (NotHere, KeyholderGone, OSError)
"""What fetching raises where an image cannot be had now."""

_AGAIN_SECONDS = "30"


def asker_of(who: Verified, address: str) -> Asker:
    """Return a verified principal as the catalog decides about it."""
    return Asker(Caller(who.name, who.assertions, who.may), address)


def not_now() -> Problem:
    """Return the answer where an image is known and cannot be had now; its transfer has recorded it."""
    words = "no copy of it can be read now, or no worker opens its seal; ask again later"
    return Problem(503, "not_now", words, {"Retry-After": _AGAIN_SECONDS}, recorded=True)


@dataclass(slots=True)
class Transfer:
    """What one request is given, in series and instance order; `end` is called once, whatever became of it.

    `refs` and `instances` are of one length: where each lies, and how it is read.
    """

    asker: Asker
    query: Query
    refs: Sequence[InstanceRef] = field(repr=False)
    instances: Sequence[Sendable] = field(repr=False)
    how: str
    recorder: Recorder = field(repr=False)
    completed: int = 0
    _ended: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def each(self) -> Iterator[tuple[InstanceRef, Sendable]]:
        """Yield the instances in turn; each counts as sent when the next is asked for."""
        for pair in zip(self.refs, self.instances, strict=True):
            yield pair
            self.completed += 1

    def end(self, words: str = "") -> None:
        """Record how it ended: well where there are no words; a second call says nothing more."""
        if not self._ended.acquire(blocking=False):
            return
        detail: dict[str, Json] = {"door": "http", "how": self.how, "completed": self.completed}
        if words:
            detail |= {"words": words, "remaining": len(self.refs) - self.completed}
        outcome = Outcome.MINOR_FAILURE if words else Outcome.SUCCESS
        happening = Happening(
            Event.TRANSFER, self.asker.words, outcome, self.asker.address, detail=dict(detail)
        )
        self.recorder.add(with_asked(happening, self.query, self.refs, ""))


@dataclass(frozen=True, slots=True)
class Images:
    """The part of the web door that finds and fetches; for any number of threads."""

    releases: Releases
    retriever: Retriever
    shelf: Shelf
    index: CacheIndex
    transcoder: GatewayTranscoder
    recorder: Recorder
    scratch: Path | None = None  # where what is too large for memory waits, in files without a name
    laid: Layouts = field(default_factory=layouts, repr=False)  # of large originals in the cache

    def find(self, asker: Asker, query: Query) -> Iterator[Match]:
        """Search the catalog as this caller; whoever takes the matches says how it ended with `found`.

        Raises:
            Problem: 403 where this caller may not query at all.
            catalog.query.InvalidQuery: the query cannot be answered as it is.
            sqlalchemy.exc.SQLAlchemyError: the database does not answer.
        """
        if Right.FIND not in asker.caller.may:
            self.found(asker, query, 0, "not_authorized")
            raise Problem(403, "not_authorized", "this caller may not query", recorded=True)
        return again(lambda: self.releases.find(query, asker), DOOR)

    def found(self, asker: Asker, query: Query, matches: int, refused: str = "") -> None:
        """Record a query that is over."""
        detail: dict[str, Json] = {"door": "http", "query": asked(query)}
        detail |= {"reason": refused} if refused else {"matches": matches} if matches else {}
        outcome = Outcome.MINOR_FAILURE if refused else Outcome.SUCCESS
        self.recorder.add(Happening(Event.QUERY, asker.words, outcome, asker.address, detail=dict(detail)))

    def retrieve(self, asker: Asker, named: Named, how: str) -> Transfer:
        """Resolve what a resource is for this caller; that originals are given out is recorded first.

        `how` says for the trail what is made of the instances ("instances", "metadata", "frames").

        Raises:
            Problem: 404 where there is nothing that this caller may retrieve; 403 where it may not at all.
            sqlalchemy.exc.SQLAlchemyError: the database does not answer, or does not take the record.
        """
        query = named.query
        if Right.RETRIEVE not in asker.caller.may:
            Transfer(asker, query, (), (), how, self.recorder).end("not_authorized")
            raise Problem(403, "not_authorized", "this caller may not retrieve", recorded=True)
        refs = again(lambda: self.releases.retrieve(query, asker), DOOR)
        transfer = Transfer(asker, query, refs, (), how, self.recorder)
        if not refs:
            transfer.end("nothing_found")
            raise Problem(404, "not_found", "nothing here that this caller may have", recorded=True)
        transfer.instances = self.retriever.prepare(refs)
        return transfer
