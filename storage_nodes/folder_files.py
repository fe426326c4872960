"""Whole writes, whole reads and exclusive links on file descriptors."""

import errno
import fcntl
import hashlib
import os
from collections.abc import Sequence
from typing import Final

from storage_nodes.node import Buffer

_BATCH_PIECES: Final = 512
"""Half of Linux's IOV_MAX."""
_BATCH_BYTES: Final = 16 << 20
_READ_BYTES: Final = 1 << 20
"""Large enough that a read's cost vanishes beside hashing, small enough to stay in the processor's cache."""
_NO_HARD_LINKS: Final = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


def write_all(descriptor: int, body: Sequence[Buffer]) -> None:
    """Write the pieces without joining them; holds at most a batch of them at a time."""
    batch: list[memoryview] = []
    waiting = 0
    for piece in body:
        view = memoryview(piece).cast("B")
        batch.append(view)
        waiting += view.nbytes
        if len(batch) == _BATCH_PIECES or waiting >= _BATCH_BYTES:
            _write_batch(descriptor, batch)
            batch, waiting = [], 0
    _write_batch(descriptor, batch)


def _write_batch(descriptor: int, batch: list[memoryview]) -> None:
    left = [view for view in batch if view.nbytes]
    while left:
        written = os.writev(descriptor, left)
        while left and written >= left[0].nbytes:
            written -= left.pop(0).nbytes
        if written:
            left[0] = left[0][written:]


def read_exactly(descriptor: int, start: int, length: int) -> bytes:
    """Return `length` bytes from `start`, fewer only where the file ends."""
    data = os.pread(descriptor, length, start)
    if len(data) == length or not data:
        return data
    parts = [data]
    got = len(data)
    while got < length and (more := os.pread(descriptor, length - got, start + got)):
        parts.append(more)
        got += len(more)
    return b"".join(parts)


def digest_of(descriptor: int) -> bytes:
    """Return the SHA-256 of the file, read from its beginning."""
    digest = hashlib.sha256()
    buffer = bytearray(_READ_BYTES)
    at = 0
    while count := os.preadv(descriptor, [buffer], at):
        digest.update(memoryview(buffer)[:count])
        at += count
    return digest.digest()


def link_or_move(source: int, temporary: str, target: int, leaf: str) -> None:
    """Give a finished file its name, only where that is free; the temporary name may remain.

    A hard link does that in one step. File systems without hard links (exFAT, some network shares) get a
    rename under a lock instead: exclusive among all processes that share the lock, which is what such a
    file system can do.

    Raises:
        FileExistsError: the name is taken.
    """
    try:
        os.link(temporary, leaf, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
    else:
        return
    fcntl.flock(source, fcntl.LOCK_EX)  # released when the caller closes the directory
    try:
        os.stat(leaf, dir_fd=target, follow_symlinks=False)
    except FileNotFoundError:
        os.rename(temporary, leaf, src_dir_fd=source, dst_dir_fd=target)
    else:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
