"""Locks on byte ranges of segment files, between threads and processes, given back by the kernel on a crash.

A writer holds the first block of its segment. A reader shares the extent it reads. Who frees bytes holds
exactly those bytes alone, first. Open file description locks (fcntl(2), Linux 3.15) belong to one descriptor;
classic POSIX locks belong to a process and vanish when any descriptor of the file is closed: useless here.
"""

import errno
import fcntl
import os
import struct

_FLOCK = struct.Struct("hhqqi4x")  # struct flock on 64-bit Linux: type, whence, start, length, pid


class LocksUnsupportedError(Exception):
    """This system offers no open file description locks; the cache needs Linux 3.15 or newer, 64 bit."""


def require() -> None:
    """Check that the system has what the cache stands on.

    Raises:
        LocksUnsupportedError: it does not.
    """
    if not hasattr(fcntl, "F_OFD_SETLK"):
        raise LocksUnsupportedError("the cache needs open file description locks: Linux 3.15 or newer")


def share(descriptor: int, start: int, length: int) -> bool:
    """Lock a range against being freed; many may share it. False: someone is freeing it now."""
    return _set(descriptor, fcntl.F_RDLCK, start, length)


def hold(descriptor: int, start: int, length: int) -> bool:
    """Lock a range alone; False when anyone else uses it. Length 0 reaches to the end and beyond."""
    return _set(descriptor, fcntl.F_WRLCK, start, length)


def is_held(descriptor: int, start: int, length: int) -> bool:
    """Return whether somebody else holds a part of a range alone; takes no lock, so nobody meets it."""
    asked = _FLOCK.pack(fcntl.F_RDLCK, os.SEEK_SET, start, length, 0)
    kind: int = _FLOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, asked))[0]
    return kind != fcntl.F_UNLCK


def release(descriptor: int, start: int, length: int) -> None:
    """Give a range back."""
    _set(descriptor, fcntl.F_UNLCK, start, length)


def _set(descriptor: int, kind: int, start: int, length: int) -> bool:
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _FLOCK.pack(kind, os.SEEK_SET, start, length, 0))
    except OSError as error:
        if error.errno in {errno.EAGAIN, errno.EACCES}:
            return False
        raise
    return True
