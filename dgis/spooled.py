"""Bytes that come in pieces, held in a file without a name and read as one buffer."""

import mmap
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryFile

from deid.elements import Buffer


def spooled(pieces: Iterable[Buffer], folder: Path | None) -> memoryview:
    """Write pieces to a file without a name in a folder and return them as a map of it.

    The map goes when the last who looks at it lets go. The folder is the system's temporary one where None.

    Raises:
        OSError: the disk does not take them.
        Exception: what the pieces raise.
    """
    with TemporaryFile(dir=folder) as file:
        for piece in pieces:
            file.write(piece)
        file.flush()
        if not file.tell():
            return memoryview(b"")
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
