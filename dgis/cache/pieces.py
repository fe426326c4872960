"""Digests of the pieces of a cached instance, so that a part of it can be read and vouched for.

What an instance was received with is one SHA-256 of its whole data set. A part can be compared with nothing
but what was computed while the whole was compared: these digests, which live no longer than the process.
"""

import hashlib
from dataclasses import dataclass, field

from dgis.cache.extent import DamagedError, Extent

PIECE_BYTES = 64 << 10
_STRIDE_BYTES = 1 << 20  # whole pieces
_DIGEST_BYTES = 32


@dataclass(frozen=True, slots=True)
class Pieces:
    """The SHA-256 of every piece of a data set that was whole when they were made, one after another."""

    digests: bytes = field(repr=False)

    def read(self, extent: Extent, start: int, length: int) -> memoryview:
        """Return bytes of the data set, fewer at its end; only the pieces they lie in are read.

        Raises:
            DamagedError: the bytes are not those that were received.
            OSError: the disk does not give them.
        """
        stop = min(start + length, len(extent))
        if start >= stop:
            return memoryview(b"")
        first = start // PIECE_BYTES
        begun = first * PIECE_BYTES
        ending = min(-(-stop // PIECE_BYTES) * PIECE_BYTES, len(extent))
        data = memoryview(extent.read(begun, ending - begun))
        if len(data) != ending - begun:
            raise DamagedError("a cached instance is cut short")
        for number, at in enumerate(range(0, len(data), PIECE_BYTES), first):
            digest = hashlib.sha256(data[at : at + PIECE_BYTES]).digest()
            if digest != self.digests[number * _DIGEST_BYTES : (number + 1) * _DIGEST_BYTES]:
                raise DamagedError("a piece of a cached instance is not what was received")
        return data[start - begun : stop - begun]


def proven(extent: Extent) -> Pieces:
    """Read an instance once, compare it with what it was received with, and return the digests of its pieces.

    Raises:
        DamagedError: the bytes do not have the SHA-256 they were received with.
        OSError: the disk does not give them.
    """
    whole, digests = hashlib.sha256(), bytearray()
    for stride in extent.chunks(_STRIDE_BYTES):
        whole.update(stride)
        view = memoryview(stride)
        for at in range(0, len(view), PIECE_BYTES):
            digests += hashlib.sha256(view[at : at + PIECE_BYTES]).digest()
    if whole.digest() != extent.location.sha256:
        raise DamagedError("a cached instance does not match its SHA-256")
    return Pieces(bytes(digests))
