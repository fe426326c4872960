"""What is durable and not yet indexed. The log itself is the queue: memory holds positions only."""

import heapq
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dgis.cache.files import SegmentFiles
from dgis.cache.scan import Found
from dgis.cache.segment import Segment
from dgis.cache.sources import LeftSource, LiveSource, Source

_RECOVERING_AT_ONCE = 64  # segments, each an open file


@dataclass(frozen=True, slots=True)
class Release:
    """An association is over; `ends` says how far it wrote, by segment."""

    association: str
    ends: Mapping[str, int]
    released: bool


@dataclass(frozen=True, slots=True)
class Tail:
    """A segment an earlier process left, and from where on it is not indexed."""

    segment_id: str
    epoch: bytes
    indexed_to: int


class Backlog:
    """Entries in the order they were received, over all segments; `take` and `done` belong to one thread."""

    def __init__(self, files: SegmentFiles) -> None:
        self._files = files
        self._lock = threading.Lock()
        self._sources: dict[str, Source] = {}
        self._left: deque[Tail] = deque()
        self._releases: list[Release] = []
        self._arrived = threading.Event()
        self._ended = threading.Event()

    def follow(self, segment: Segment) -> None:
        """Index what is written into a segment of this process."""
        with self._lock:
            self._sources[segment.id] = LiveSource(segment)

    def recover(self, tails: Iterable[Tail]) -> None:
        """Index what earlier processes left."""
        with self._lock:
            known = self._sources.keys() | {tail.segment_id for tail in self._left}
            self._left.extend(tail for tail in tails if tail.segment_id not in known)
        self._arrived.set()

    def follows(self, segment_id: str) -> bool:
        """Return whether this process writes the segment or has yet to index it."""
        with self._lock:
            return segment_id in self._sources

    def arrived(self) -> None:
        """Say that an entry became durable."""
        if not self._arrived.is_set():
            self._arrived.set()

    def hurry(self) -> None:
        """Let nobody wait any longer."""
        self._arrived.set()
        self._ended.set()

    def finish(self, release: Release) -> None:
        """Say that an association is over."""
        with self._lock:
            self._releases.append(release)
        self.hurry()

    def wait(self, timeout_seconds: float) -> bool:
        """Wait until something arrives."""
        arrived = self._arrived.wait(timeout_seconds)
        self._arrived.clear()
        return arrived

    def wait_for_end(self, timeout_seconds: float) -> None:
        """Wait so long at most until an association is over, of those that were not waited for yet."""
        self._ended.wait(timeout_seconds)
        self._ended.clear()

    def take(self, limit: int) -> list[Found]:
        """Return the next entries by time of receipt; `done` ends the care for them."""
        heap: list[tuple[int, str, Source]] = []
        for source in self._active():
            head = source.head()
            if head is not None:
                heap.append((head.meta.received_ms, source.segment_id, source))
        heapq.heapify(heap)
        taken: list[Found] = []
        while heap and len(taken) < limit:
            source = heap[0][2]
            taken.append(source.take())
            head = source.head()
            if head is None:
                heapq.heappop(heap)
            else:
                heapq.heapreplace(heap, (head.meta.received_ms, source.segment_id, source))
        return taken

    def done(self, taken: Iterable[Found]) -> None:
        """Say that entries are indexed; segments that are through are let go."""
        with self._lock:
            for found in taken:
                source = self._sources.get(found.location.segment_id)
                if source is not None:
                    source.indexed_to = max(source.indexed_to, found.location.end)
            # `over` is asked before `drained`: an entry added in between keeps the source
            through = [source for source in self._sources.values() if source.over and source.drained]
            for source in through:
                del self._sources[source.segment_id]
        for source in through:
            source.close()

    def finished_associations(self) -> list[Release]:
        """Return the associations that are over and whose every entry is indexed; each is returned once."""
        with self._lock:
            ready = [release for release in self._releases if self._indexed(release)]
            self._releases = [release for release in self._releases if release not in ready]
        return ready

    def written_bytes(self, segment_id: str) -> int:
        """Return what a segment takes: of one being written, the part that is used."""
        with self._lock:
            source = self._sources.get(segment_id)
        if isinstance(source, LiveSource) and not source.over:
            return source.written_to
        return self._files.allocated_bytes(segment_id)

    def unindexed_segments(self) -> int:
        """Return in how many segments something may wait."""
        with self._lock:
            return len(self._left) + sum(not source.drained for source in self._sources.values())

    def close(self) -> None:
        """Let go of all segments; what is not indexed is found again at the next start."""
        with self._lock:
            sources, self._sources = list(self._sources.values()), {}
            self._left.clear()
        for source in sources:
            source.close()

    def _indexed(self, release: Release) -> bool:
        return all(
            segment_id not in self._sources or self._sources[segment_id].indexed_to >= end
            for segment_id, end in release.ends.items()
        )

    def _active(self) -> list[Source]:
        with self._lock:
            recovering = sum(isinstance(source, LeftSource) for source in self._sources.values())
            while self._left and recovering < _RECOVERING_AT_ONCE:
                tail = self._left.popleft()
                source = LeftSource.open(self._files.path(tail.segment_id), tail.epoch, tail.indexed_to)
                if source is not None:
                    self._sources[tail.segment_id] = source
                    recovering += 1
            return list(self._sources.values())
