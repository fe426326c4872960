"""Asking the file system for blocks and giving them back, where it can."""

import ctypes
import errno
import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path

_KEEP_SIZE = 1  # linux/falloc.h
_PUNCH_HOLE = 2
_STAT_BLOCK_BYTES = 512  # st_blocks is counted in these, whatever the file system's own block is
_ZEROS = memoryview(bytes(1 << 20))
_NOT_OFFERED = {errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


def reserve(descriptor: int, start: int, length: int) -> None:
    """Reserve blocks beyond the end of the file, which keeps its size; a system that cannot is no error.

    Raises:
        OSError: no space.
    """
    _fallocate(descriptor, _KEEP_SIZE, start, length)


def punch(descriptor: int, start: int, length: int) -> bool:
    """Give the blocks of a range back; it reads as zeros afterwards. False where the file system cannot."""
    return _fallocate(descriptor, _KEEP_SIZE | _PUNCH_HOLE, start, length)


def overwrite(descriptor: int, start: int, end: int) -> bool:
    """Make a range read as zeros, where it does not yet; True where something was written (not synced)."""
    wrote = False
    while start < end:
        piece = os.pread(descriptor, min(len(_ZEROS), end - start), start)
        if not piece:
            break
        if piece != _ZEROS[: len(piece)]:
            os.pwrite(descriptor, _ZEROS[: len(piece)], start)
            wrote = True
        start += len(piece)
    return wrote


def allocated_bytes(path: Path) -> int:
    """Return the bytes a file takes on its disk."""
    return path.stat().st_blocks * _STAT_BLOCK_BYTES


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _fallocate(descriptor: int, mode: int, start: int, length: int) -> bool:
    call = _native()
    if call is None:
        return False
    while call(descriptor, mode, start, length):
        code = ctypes.get_errno()
        if code == errno.EINTR:
            continue
        if code in _NOT_OFFERED:
            return False
        raise OSError(code, os.strerror(code))
    return True


@functools.cache
def _native() -> Callable[[int, int, int, int], int] | None:
    """Return the C library's fallocate, which Python offers without its modes only."""
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None, use_errno=True)
    try:
        call = library.fallocate64 if hasattr(library, "fallocate64") else library.fallocate
    except AttributeError:
        return None
    call.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    call.restype = ctypes.c_int

    def fallocate(descriptor: int, mode: int, start: int, length: int) -> int:
        return int(call(descriptor, mode, start, length))

    return fallocate
