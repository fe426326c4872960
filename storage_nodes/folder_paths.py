"""Directories opened step by step, never through a symbolic link: a name cannot lead out of the node."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PRIVATE = 0o700


@contextmanager
def directory(root: Path, segments: Sequence[str], *, create: bool = False) -> Iterator[int]:
    """Yield a descriptor of `root/segments...`; with `create`, missing steps below the root are made durably.

    The root itself may be a link (an operator's choice), and is never made here: a missing root is a disk
    that is not mounted.

    Raises:
        OSError: ENOENT where a step is missing, ENOTDIR or ELOOP where it is no directory.
    """
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for segment in segments:
            below = _step(descriptor, segment, create=create)
            os.close(descriptor)
            descriptor = below
        yield descriptor
    finally:
        os.close(descriptor)


def _step(parent: int, segment: str, *, create: bool) -> int:
    try:
        return os.open(segment, _DIRECTORY, dir_fd=parent)
    except FileNotFoundError:
        if not create:
            raise
    # Another process may make it at the same moment, and not have come to syncing it: sync in any case.
    with suppress(FileExistsError):
        os.mkdir(segment, _PRIVATE, dir_fd=parent)
    os.fsync(parent)
    return os.open(segment, _DIRECTORY, dir_fd=parent)
