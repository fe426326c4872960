"""Where entries for the index come from: segments being written, and segments an earlier process left."""

import os
from abc import ABC, abstractmethod
from collections import deque
from pathlib import Path
from typing import Self

import structlog

from dgis.cache.layout import SEGMENT_HEADER_BYTES
from dgis.cache.scan import Found, Stretch, entries
from dgis.cache.segment import Segment, lock_for_writing

_log = structlog.get_logger(__name__)
_AHEAD = 16  # entries read from one segment at a time


class Source(ABC):
    """The entries of one segment that are not yet indexed, oldest first; for the indexer's thread."""

    verify = False

    def __init__(self, segment_id: str, epoch: bytes, start: int) -> None:
        self.segment_id = segment_id
        self.epoch = epoch
        self.indexed_to = start
        self._ahead: deque[Found] = deque()
        self._read_to = start
        self._taken_to = start
        self._failing = False

    def head(self) -> Found | None:
        """Return the next entry without taking it, or None where nothing is at hand now."""
        if not self._ahead:
            try:
                self._read_ahead()
            except OSError as error:  # the others go on; this one is tried again with the next batch
                if not self._failing:
                    _log.error("cache_segment_unreadable", segment=self.segment_id, errno=error.errno)
                self._failing = True
        return self._ahead[0] if self._ahead else None

    def take(self) -> Found:
        """Take the next entry, which `head` showed."""
        found = self._ahead.popleft()
        self._taken_to = found.location.end
        return found

    @property
    def drained(self) -> bool:
        """Whether everything that was ever taken or can be taken is indexed."""
        return not self._ahead and self._read_to >= self.readable_to and self.indexed_to >= self._taken_to

    @property
    @abstractmethod
    def readable_to(self) -> int:
        """The end of what is durable."""

    @property
    @abstractmethod
    def over(self) -> bool:
        """Whether no entry will be added any more."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the segment."""

    def _read(self, descriptor: int) -> None:
        stop = self.readable_to
        stretch = Stretch(self.segment_id, self.epoch, self._read_to, stop)
        found = entries(descriptor, stretch, verify=self.verify)
        for entry in found:
            self._ahead.append(entry)
            self._read_to = entry.location.end
            if len(self._ahead) == _AHEAD:
                return
        self._read_to = stop

    @abstractmethod
    def _read_ahead(self) -> None:
        """Read some entries more, where there are."""


class LiveSource(Source):
    """A segment this process writes; its bytes are durable and known to be whole up to its tail."""

    def __init__(self, segment: Segment) -> None:
        super().__init__(segment.id, segment.epoch, SEGMENT_HEADER_BYTES)
        self._segment = segment

    @property
    def readable_to(self) -> int:
        """The tail of the segment."""
        return self._segment.tail

    @property
    def over(self) -> bool:
        """Whether the segment is sealed."""
        return self._segment.sealed

    @property
    def written_to(self) -> int:
        """How far the segment is taken, with the entry on its way."""
        return self._segment.written_to

    def close(self) -> None:
        """Nothing is held between two reads."""

    def _read_ahead(self) -> None:
        if self._read_to >= self.readable_to:
            return
        descriptor = os.open(self._segment.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._read(descriptor)
        finally:
            os.close(descriptor)


class LeftSource(Source):
    """A segment an earlier process left: data sets are checked, and the file is ended at its last entry.

    It is held locked meanwhile, so that of two processes that start at once one recovers it.
    """

    verify = True

    def __init__(self, segment_id: str, epoch: bytes, start: int, descriptor: int) -> None:
        super().__init__(segment_id, epoch, start)
        self._descriptor = descriptor
        self._size = os.fstat(descriptor).st_size

    @classmethod
    def open(cls, path: Path, epoch: bytes, start: int) -> Self | None:
        """Return the segment from a position on; None where another process has it, or it is gone."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        if not lock_for_writing(descriptor):
            os.close(descriptor)
            return None
        return cls(path.stem, epoch, start, descriptor)

    @property
    def readable_to(self) -> int:
        """The size the file had when it was opened."""
        return self._size

    @property
    def over(self) -> bool:
        """Nobody adds to it."""
        return True

    def close(self) -> None:
        """Cut off what is no entry, where everything was read, and give the segment back."""
        try:
            if self.drained and self._taken_to < self._size:
                os.ftruncate(self._descriptor, self._taken_to)
                _log.info("cache_tail_cut", segment=self.segment_id, bytes=self._size - self._taken_to)
        finally:
            os.close(self._descriptor)

    def _read_ahead(self) -> None:
        if self._read_to < self._size:
            self._read(self._descriptor)
