from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, cast

from deid.elements import Buffer

PIECE_BYTES = 256 << 10


def joined(pieces: Iterable[Buffer]) -> Iterator[bytes]:
    """Join small pieces into larger ones, each of which stays valid."""
    gathered = bytearray()
    for piece in pieces:
        gathered += piece
        if len(gathered) >= PIECE_BYTES:
            yield bytes(gathered)
            gathered = bytearray()
    if gathered:
        yield bytes(gathered)


def held_back(pieces: Iterable[bytes], held_bytes: int) -> Iterator[bytes]:
    """Pass pieces on only when all are there, or when there are more than `held_bytes` of them.

    What goes wrong before then goes wrong before the first piece.
    """
    held: list[bytes] = []
    size = 0
    source = iter(pieces)
    for piece in source:
        held.append(piece)
        size += len(piece)
        if size > held_bytes:
            break
    yield from chain(held, source)


def spool(held_bytes: int, folder: Path | None) -> IO[bytes]:
    """Open a place for pieces: in memory up to `held_bytes`, then in a file without a name in `folder`."""
    return cast("IO[bytes]", SpooledTemporaryFile(held_bytes, dir=None if folder is None else str(folder)))


def read_back(file: IO[bytes]) -> Iterator[bytes]:
    """Yield what was written to a spool."""
    file.seek(0)
    while piece := file.read(PIECE_BYTES):
        yield piece
