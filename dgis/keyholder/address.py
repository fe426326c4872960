"""Unix socket addresses of any length: the kernel takes some hundred bytes, a home may lie deeper."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LONGEST_BYTES = 100  # sun_path holds 108 with its final zero (unix(7))


@contextmanager
def socket_address(path: Path) -> Iterator[str]:
    """Yield a short name of a socket's path, valid inside the context.

    Raises:
        OSError: its folder cannot be opened.
    """
    if len(os.fsencode(path)) <= _LONGEST_BYTES:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
