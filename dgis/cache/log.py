"""The receive log: what a door writes instances into."""

import errno
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from dgis import failpoints
from dgis.cache.backlog import Backlog, Release
from dgis.cache.entry import CHUNK_BYTES, FULL, Entry
from dgis.cache.files import SegmentFiles, made_ms
from dgis.cache.layout import pack_meta
from dgis.cache.segment import Segment
from dgis.cache.space import Space
from dgis.cache.values import RefusalReason, Refused, Stored, StoreMeta

_log = structlog.get_logger(__name__)
_SEGMENT_BYTES = 256 << 20
_LEAST_SEGMENT_BYTES = 16 << 20
_IDLE_SEGMENTS = 8  # kept open for the next associations; more are sealed


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Limits:
    """How much disk the cache may take, in bytes; 0 for `segment_bytes` and `max_spares` fits them to it."""

    max_bytes: int
    free_floor_bytes: int
    segment_bytes: int = 0
    max_spares: int = -1

    def fitted(self) -> "Limits":
        """Return the limits with segments and spares in proportion to the whole."""
        segment_bytes = self.segment_bytes or min(
            _SEGMENT_BYTES, max(_LEAST_SEGMENT_BYTES, self.max_bytes // 16)
        )
        spares = self.max_spares if self.max_spares >= 0 else min(8, self.max_bytes // segment_bytes // 8)
        return replace(self, segment_bytes=segment_bytes, max_spares=spares)


class ReceiveLog:
    """Append-only segments, one association to a segment at a time; for any number of threads.

    Every association makes its own entries durable with its own fdatasync: the kernel's journal groups them
    better than a thread of ours did (docs/decisions/0002-receive-log.md).
    """

    def __init__(self, files: SegmentFiles, space: Space, backlog: Backlog) -> None:
        self.files = files
        self.space = space
        self.backlog = backlog
        self._lock = threading.Lock()
        self._idle: list[Segment] = []
        self._lent: list[Segment] = []
        self._stopping = False

    @classmethod
    def open(cls, home: Path, limits: Limits, clock_ms: Callable[[], int] = _now_ms) -> Self:
        """Open the log of a home; what lies there already is left to the indexer's recovery.

        Raises:
            OSError: the home cannot be written.
            locks.LocksUnsupportedError: the system lacks what the log stands on.
        """
        limits = limits.fitted()
        files = SegmentFiles(
            home, segment_bytes=limits.segment_bytes, max_spares=limits.max_spares, clock_ms=clock_ms
        )
        files.prepare()
        backlog = Backlog(files)
        space = Space(
            files.folder,
            max_bytes=limits.max_bytes,
            free_floor_bytes=limits.free_floor_bytes,
            measure=lambda: sum(backlog.written_bytes(segment_id) for segment_id in files.ids()),
        )
        return cls(files, space, backlog)

    def association(self) -> "AssociationWriter":
        """Return what one association writes its instances through."""
        return AssociationWriter(self)

    def refusal(self) -> Refused | None:
        """Return why no instance can be taken now, or None; spares are given up before any is refused."""
        refused = self.space.refusal(0)
        if refused is None or refused.reason is not RefusalReason.NO_SPACE or not self.files.drop_spares():
            return refused
        return self.space.refusal(0)

    def take_segment(self) -> Segment | Refused:
        """Lend a segment to an association: the fullest idle one, or a new one."""
        with self._lock:
            if self._stopping:
                return Refused(RefusalReason.STOPPING)
            if self._idle:
                self._lent.append(self._idle[-1])
                return self._idle.pop()
        try:
            segment = self.files.create()
        except OSError as error:
            _log.warning("cache_segment_not_made", errno=errno.errorcode.get(error.errno or 0))
            full = error.errno in FULL
            return Refused(RefusalReason.NO_SPACE if full else RefusalReason.STORAGE_FAILED)
        self.backlog.follow(segment)
        with self._lock:
            self._lent.append(segment)
        return segment

    def return_segment(self, segment: Segment) -> None:
        """Take a lent segment back; a full or failed one is sealed."""
        with self._lock:
            self._lent.remove(segment)
            full = segment.tail >= self.files.segment_bytes
            keep = not (self._stopping or segment.failed or segment.retired or full)
            if keep:
                self._idle.append(segment)
                self._idle.sort(key=lambda idle: idle.tail)
            sealed = [] if keep else [segment]
            if len(self._idle) > _IDLE_SEGMENTS:
                sealed.append(self._idle.pop())  # the fullest: few small segments are left behind
        for each in sealed:
            self._seal(each)

    def retire(self, made_until_ms: int) -> int:
        """End every segment that was made until then; returns how many still take their last entry.

        The file of a new segment may be an old one: what an erased patient left there is behind its tail.
        """
        with self._lock:
            idle = [each for each in self._idle if made_ms(each.id) <= made_until_ms]
            self._idle = [each for each in self._idle if each not in idle]
            lent = [each for each in self._lent if made_ms(each.id) <= made_until_ms]
        for segment in idle:
            segment.retired = True
            self._seal(segment)
        return sum(not segment.retire() for segment in lent)

    def close(self) -> None:
        """Take no further instance and seal what is idle; lent segments are sealed when they come back."""
        with self._lock:
            self._stopping = True
            idle, self._idle = self._idle, []
        for segment in idle:
            self._seal(segment)

    def _seal(self, segment: Segment) -> None:
        try:
            segment.seal()
            if not segment.has_entries:
                segment.path.unlink(missing_ok=True)
        except OSError as error:  # the tail is longer than it need be; recovery ends it at the next start
            _log.warning("cache_segment_not_trimmed", segment=segment.id, errno=error.errno)


class AssociationWriter:
    """Writes the instances of one association, one after another; for one thread.

    `finish(released=True)` says that the sender released the association in good order: a series of which it
    sent several instances need not wait until it has been quiet for long.
    """

    def __init__(self, log: ReceiveLog) -> None:
        self._log = log
        self._id = uuid.uuid4().hex
        self._chunk = bytearray()
        self._segment: Segment | None = None
        self._ends: dict[str, int] = {}  # how far this association wrote, by segment
        self._entry: Entry | None = None

    def begin(self, meta: StoreMeta) -> Entry | Refused:
        """Begin an instance; the entry before it must be committed or abandoned.

        Raises:
            ValueError: the meta is larger than the log holds.
        """
        if self._entry is not None:
            raise RuntimeError("an association writes one instance at a time")
        packed = pack_meta(meta, self._id)
        refused = self._log.refusal()
        if refused is not None:
            return refused
        segment = self._usable_segment()
        while not isinstance(segment, Refused) and not segment.begin_entry():
            segment = self._usable_segment()
        if isinstance(segment, Refused):
            return segment
        self._chunk = self._chunk or bytearray(CHUNK_BYTES)
        self._entry = Entry(segment, packed, self._chunk, self._log.space, self._done)
        failpoints.hit("cache.entry_begun")
        return self._entry

    def finish(self, *, released: bool) -> None:
        """Give the segment back when the association is over; an entry still open is abandoned."""
        if self._entry is not None:
            self._entry.abandon()
        if self._segment is not None:
            self._log.return_segment(self._segment)
            self._segment = None
        self._chunk = bytearray()
        if self._ends:
            self._log.backlog.finish(Release(self._id, dict(self._ends), released=released))
            self._ends.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish(released=False)

    def _usable_segment(self) -> Segment | Refused:
        held = self._segment
        if held is not None and (held.failed or held.retired or held.tail >= self._log.files.segment_bytes):
            self._log.return_segment(held)
            self._segment = None
        if self._segment is None:
            taken = self._log.take_segment()
            if isinstance(taken, Refused):
                return taken
            self._segment = taken
        return self._segment

    def _done(self, stored: Stored | None) -> None:
        self._entry = None
        assert self._segment is not None, "an entry is in a segment"
        self._segment.end_entry()
        if stored is not None:
            self._ends[stored.location.segment_id] = stored.location.end
            self._log.backlog.arrived()
