"""Copies of records and sealed companions beside this gateway, brought here before anybody reads them.

They are what lies on the nodes, bit for bit: de-identified, or sealed under a key that is not here. The
replica index does not know of them; whoever reads goes by the index first, so that what is no longer in the
grid is not read here either (`dgis.near.tidying` removes it).
"""

import os
import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog

from replica.values import Located
from storage_nodes.errors import NameTaken, NodeError
from storage_nodes.folder import FolderNode
from storage_nodes.names import ObjectName
from storage_nodes.node import Body, ObjectStat

_log = structlog.get_logger(__name__)

_LEFTOVER_SECONDS: Final = 6 * 3600.0


class NearCopies:
    """A folder of objects, bounded; those read longest ago go first. For any number of threads and processes.

    A copy is real once it was read back with the digest of the index and has its name; a crash before leaves
    a hidden file that `tidy` removes. Losing all of it loses nothing: the nodes hold the copies that count.

    Args:
        root: the folder; made when the first copy comes.
        most_bytes: of all copies; 0: none are kept.
        floor_bytes: the disk is left so much for images that come in.
    """

    def __init__(
        self,
        root: Path,
        most_bytes: int,
        floor_bytes: int,
        free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free,
    ) -> None:
        self.most_bytes: Final = most_bytes
        self._root = root
        self._floor_bytes = floor_bytes
        self._free_bytes = free_bytes
        self._folder = FolderNode("near", "", root)
        self._making_room = threading.Lock()

    def has(self, located: Located) -> bool:
        """Whether a copy is here; it counts as used now."""
        try:
            stands = self._folder.stat(located.name).size == located.size_bytes
            os.utime(self._root / located.name)
        except (NodeError, OSError):
            return False
        return stands

    def read(self, name: ObjectName, start: int, length: int) -> bytes:
        """Return exactly a part of a copy; whoever knows the digests inside compares.

        Raises:
            NodeError: it is not here, or cannot be read.
        """
        return self._folder.get_range(name, start, length)

    def keep(self, located: Located, body: Body, since_ms: int) -> bool:
        """Take a copy, whose SHA-256 is compared with the index's; False where there is no room for it.

        What was used since (epoch milliseconds) is not removed for it: who brings more than there is room
        for is told so.

        Raises:
            DigestMismatch: the body is something else.
            NodeError: the folder cannot be written.
            Exception: what going through the body raises.
        """
        with self._making_room:
            self._folder.prepare()
            if not self._room_for(located.size_bytes, since_ms):
                return False
            try:
                self._folder.put(located.name, body, located.sha256)
            except NameTaken:  # what lay here is not what its name says
                self._folder.delete(located.name)
                self._folder.put(located.name, body, located.sha256)
        return True

    def drop(self, name: ObjectName) -> None:
        """Let go of a copy, where it is here."""
        try:
            self._folder.delete(name)
        except NodeError as error:
            _log.warning("near_copy_stays", error=error.trouble)

    def held(self) -> list[ObjectStat]:
        """Return what is here, used longest ago first."""
        if not self._root.is_dir():
            return []
        try:
            return sorted(self._folder.list(), key=lambda each: each.modified_ms)
        except NodeError as error:
            _log.warning("near_copies_unread", error=error.trouble)
            return []

    def shrink(self) -> int:
        """Remove what is too much: above the bound, or where images that come in need the disk; count it."""
        held = self.held()
        used = sum(each.size for each in held)
        gone = 0
        for each in held:
            if used <= self.most_bytes and self._free_bytes(self._root) >= self._floor_bytes:
                break
            self.drop(each.name)
            used -= each.size
            gone += 1
        if self._root.is_dir():
            with suppress(NodeError):
                self._folder.clean_leftovers(_LEFTOVER_SECONDS)
        return gone

    def _room_for(self, size: int, since_ms: int) -> bool:
        """Make room, where there can be any."""
        held = self.held()
        used = sum(each.size for each in held)
        for each in held:
            if self._fits(used, size) or each.modified_ms >= since_ms:
                break
            self.drop(each.name)
            used -= each.size
        return self._fits(used, size)

    def _fits(self, used: int, size: int) -> bool:
        spare = self._free_bytes(self._root) - self._floor_bytes
        return used + size <= self.most_bytes and size <= spare
