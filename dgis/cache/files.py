"""The folder of segments and the folder of spares: making a segment, finding them, putting dead ones away.

cache/segments/<id>.seg     a header that is durable, and entries
cache/spare/<id>.spare      blocks of a dead segment; its content means nothing and is never read
cache/spare/<id>.new        a segment in the making; rename to segments/<id>.seg is what makes it one
cache/spare/<id>.wipe       a spare that is written over, and then removed
"""

import contextlib
import os
import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import structlog

from dgis import failpoints
from dgis.cache import blocks, locks
from dgis.cache.layout import EPOCH_BYTES, SEGMENT_HEADER_BYTES, SegmentHeader, pack_segment_header
from dgis.cache.segment import Segment, lock_for_writing

_log = structlog.get_logger(__name__)
_NAME = re.compile(r"[0-9a-f]{12}-[0-9a-f]{8}")
_PRIVATE = 0o700


class SegmentFiles:
    """The files of one home; several processes may use it at once."""

    def __init__(
        self, home: Path, *, segment_bytes: int, max_spares: int, clock_ms: Callable[[], int]
    ) -> None:
        self.segment_bytes = segment_bytes
        self.folder = home / "cache" / "segments"
        self._spare = home / "cache" / "spare"
        self._max_spares = max_spares
        self._clock_ms = clock_ms

    def prepare(self) -> None:
        """Make the folders, and clear what a crash left half made.

        Raises:
            OSError: the home cannot be written.
            locks.LocksUnsupportedError: not on this system.
        """
        locks.require()
        for folder in (self.folder, self._spare):
            folder.mkdir(parents=True, exist_ok=True, mode=_PRIVATE)
        for path in self._spare.glob("*.new"):
            with _opened(path) as descriptor:
                if descriptor is not None and lock_for_writing(descriptor):
                    path.unlink(missing_ok=True)

    def create(self) -> Segment:
        """Return a new segment, made of a spare where one lies ready.

        The header with a fresh epoch is durable before the file gets its name: what an earlier life left
        behind can never be read as entries of this one.

        Raises:
            OSError: no space, or the folder cannot be written.
        """
        while (segment := self._make()) is None:
            pass
        return segment

    def _make(self) -> Segment | None:
        """Make one segment; None where a process that starts took it for the remains of a crash."""
        created_ms = self._clock_ms()
        header = SegmentHeader(
            f"{created_ms:012x}-{secrets.token_hex(4)}", secrets.token_bytes(EPOCH_BYTES), created_ms
        )
        making, path = self._spare / f"{header.segment_id}.new", self.path(header.segment_id)
        self._take_spare(making)
        with contextlib.ExitStack() as undo:
            descriptor = os.open(making, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            undo.callback(os.close, descriptor)
            undo.callback(making.unlink, missing_ok=True)
            if not lock_for_writing(descriptor):
                return None
            os.pwrite(descriptor, pack_segment_header(header), 0)
            os.fsync(descriptor)
            failpoints.hit("cache.segment_made")
            try:
                making.rename(path)
            except FileNotFoundError:
                return None
            blocks.sync_directory(self.folder)
            failpoints.hit("cache.segment_named")
            undo.pop_all()
        return Segment(header.segment_id, header.epoch, path, descriptor)

    def path(self, segment_id: str) -> Path:
        """Return where a segment lies.

        Raises:
            ValueError: not a segment id.
        """
        if not _NAME.fullmatch(segment_id):
            raise ValueError("not a segment id")
        return self.folder / f"{segment_id}.seg"

    def is_still(self, segment_id: str, descriptor: int) -> bool:
        """Return whether an open file is that segment: it may have become a spare since, and another segment.

        Whoever holds a range of it locked keeps it from being put away, so the answer holds as long.
        """
        try:
            return os.path.samestat(os.fstat(descriptor), self.path(segment_id).stat())
        except FileNotFoundError:
            return False

    def ids(self) -> list[str]:
        """Return the segments that lie on disk, oldest first."""
        names = (path.stem for path in self.folder.glob("*.seg"))
        return sorted(name for name in names if _NAME.fullmatch(name))

    def allocated_bytes(self, segment_id: str) -> int:
        """Return what a segment takes on disk; 0 where it is gone."""
        try:
            return blocks.allocated_bytes(self.path(segment_id))
        except FileNotFoundError:
            return 0

    def spare_bytes(self) -> int:
        """Return what the spares take on disk."""
        return sum(blocks.allocated_bytes(path) for path in self._spares())

    def put_away(self, segment_id: str) -> int:
        """Remove a segment that the caller holds locked and nobody needs; returns the bytes freed.

        It becomes a spare where enough of its blocks are left: writing over blocks a file already has costs
        no file system journal (docs/decisions/0002-receive-log.md).
        """
        path = self.path(segment_id)
        taken = blocks.allocated_bytes(path)
        if taken >= self.segment_bytes * 3 // 4 and len(self._spares()) < self._max_spares:
            path.rename(self._spare / f"{segment_id}.spare")
        else:
            path.unlink()
        failpoints.hit("cache.segment_put_away")
        blocks.sync_directory(self.folder)
        return taken

    def drop_spares(self) -> int:
        """Remove all spares, for a disk that runs full; returns the bytes freed."""
        freed = 0
        for path in self._spares():
            with contextlib.suppress(FileNotFoundError):
                taken = blocks.allocated_bytes(path)
                path.unlink()
                freed += taken
        return freed

    def wipe_spares(self) -> int:
        """Write over all spares and remove them; returns the bytes that were written over.

        A spare is taken aside first: one that becomes a segment just now is not met. A crash leaves it
        there, for the next call.
        """
        for path in self._spares():
            with contextlib.suppress(FileNotFoundError):
                path.rename(path.with_suffix(".wipe"))
        return sum(_wipe(path) for path in sorted(self._spare.glob("*.wipe")))

    def _spares(self) -> list[Path]:
        return sorted(self._spare.glob("*.spare"))

    def _take_spare(self, making: Path) -> None:
        for path in self._spares():
            with contextlib.suppress(FileNotFoundError):
                path.rename(making)
                return


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int | None]:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _wipe(path: Path) -> int:
    with _opened(path) as descriptor:
        if descriptor is None:
            return 0  # another process was faster
        size = os.fstat(descriptor).st_size
        blocks.overwrite(descriptor, 0, size)
        os.fsync(descriptor)
        path.unlink(missing_ok=True)
    return size


def made_ms(segment_id: str) -> int:
    """Return when a segment was made, epoch milliseconds: its name begins with it."""
    return int(segment_id.partition("-")[0], 16)


def header_block(descriptor: int) -> bytes:
    """Return the first block of a segment."""
    return os.pread(descriptor, SEGMENT_HEADER_BYTES, 0)
