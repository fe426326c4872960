"""An object read from the copy that is near, and from the nodes where that fails."""

import hashlib
import threading
from typing import Final

from dgis.near.copies import NearCopies
from replica.source import ReplicaSource
from replica.values import Located
from storage_nodes.errors import NodeError
from storage_nodes.node import Buffer

_WHOLE_BYTES: Final = 1 << 20


class NearSource:
    """Reads as `ReplicaSource`, which it asks where the near copy is gone, or was rejected by the reader.

    A near copy that lies is removed and nobody is told: the index does not know of it.
    """

    def __init__(self, copies: NearCopies, located: Located, behind: ReplicaSource) -> None:
        self._copies = copies
        self._located = located
        self._behind = behind
        self._here = True
        self._served = threading.local()

    @property
    def size(self) -> int:
        """Length of the object by the index, bytes."""
        return self._behind.size

    def read(self, start: int, length: int) -> Buffer:
        """Return `length` bytes from `start`; fewer only where the object ends.

        Raises:
            NoCopyLeft: every copy failed or was rejected.
        """
        length = min(length, self.size - start)
        if self._here and length > 0:
            try:
                data = self._copies.read(self._located.name, start, length)
            except NodeError:
                self._here = False
            else:
                self._served.near = True
                return data
        self._served.near = False
        return self._behind.read(start, length)

    def is_whole(self) -> bool:
        """Read all of it and tell whether that has the digest of the index. After False, `reject`.

        Raises:
            NoCopyLeft: as `read`.
        """
        digest = hashlib.sha256()
        for start in range(0, self.size, _WHOLE_BYTES):
            digest.update(self.read(start, _WHOLE_BYTES))
        return digest.digest() == self._located.sha256

    def reject(self, trouble: str = "a digest in the record does not match") -> bool:
        """Say that what this thread read last was wrong; returns whether there is another copy to read."""
        if not getattr(self._served, "near", False):
            return self._behind.reject(trouble)
        self._served.near = False
        self._here = False
        self._copies.drop(self._located.name)
        return True  # of the nodes none was asked yet
