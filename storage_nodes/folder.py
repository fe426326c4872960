import errno
import os
import stat
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from storage_nodes.body import pieces
from storage_nodes.errors import DigestMismatch, NameTaken, NodeUnavailable, ObjectDamaged, ObjectMissing
from storage_nodes.folder_errors import from_os_error
from storage_nodes.folder_files import digest_of, link_or_move, read_exactly, write_all
from storage_nodes.folder_listing import walk
from storage_nodes.folder_paths import directory
from storage_nodes.names import ObjectName
from storage_nodes.node import Body, Capabilities, ObjectStat, check_range

INCOMING: Final = ".incoming"
"""Where files lie until they are whole; no ObjectName begins with a dot, so no object can be there."""
_NOTHING_THERE: Final = (FileNotFoundError, NotADirectoryError)
"""The second: `a/b` is asked for where `a` is an object."""
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""Not through a link, and not waiting for the other end of a pipe that somebody laid there."""


class FolderNode:
    """A folder on a file system, an object a file: `unzip`, `cp` and `sha256sum` work on it.

    No digest is kept beside a file (no sidecar, no extended attribute: copies and many file systems lose
    them, and rot leaves them as they were). The index and the object's name hold it; only reading the file
    proves anything.

    Point it at a folder *inside* a mounted file system, not at the mount point: then an unmounted disk is a
    missing folder, which is NodeUnavailable, and not an empty one, which is a node that lost everything.
    """

    kind: Final = "folder"
    capabilities: Final = Capabilities(conditional_put=True)

    def __init__(self, name: str, site: str, root: Path) -> None:
        self.name: Final = name
        self.site: Final = site
        self._root = root

    def prepare(self) -> None:
        """Make the root folder where there is none; for the first start, never in the course of work."""
        with self._os_errors():
            self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
            with closing_descriptor(self._root.parent) as parent:
                os.fsync(parent)

    def put(self, name: ObjectName, body: Body, sha256: bytes) -> None:
        """Write, sync, read back and hash, link, sync the folder: the link is what makes the object exist.

        A crash before the link leaves a file in `.incoming`; after it, the object, whole. What is read back
        may come from the page cache: it proves what the file system took, not what the platter holds.
        """
        *folders, leaf = name.split("/")
        with self._os_errors(), directory(self._root, folders, create=True) as target:
            if self._is_there(target, leaf, sha256):
                os.fsync(target)  # whoever linked it may not have come to this yet
                return
            with directory(self._root, [INCOMING], create=True) as incoming:
                temporary = f"{uuid.uuid4().hex}"
                try:
                    self._write(incoming, temporary, body, sha256)
                    try:
                        link_or_move(incoming, temporary, target, leaf)
                    except FileExistsError:
                        if not self._is_there(target, leaf, sha256):
                            raise NodeUnavailable(self.name, "removed while it was put") from None
                    os.fsync(target)
                finally:
                    with suppress(FileNotFoundError):
                        os.unlink(temporary, dir_fd=incoming)

    def get(self, name: ObjectName) -> bytes:
        """Read the file whole."""
        with self._opened(name) as descriptor:
            size = os.fstat(descriptor).st_size
            return self._read(descriptor, 0, size)

    def get_range(self, name: ObjectName, start: int, length: int) -> bytes:
        """Read a part of the file."""
        check_range(start, length)
        with self._opened(name) as descriptor:
            return self._read(descriptor, start, length)

    def stat(self, name: ObjectName) -> ObjectStat:
        """Return size and time of the file; its digest is not known without reading it."""
        with self._opened(name) as descriptor:
            found = os.fstat(descriptor)
        return ObjectStat(name, found.st_size, None, found.st_mtime_ns // 1_000_000)

    def list(self, prefix: str = "") -> Iterator[ObjectStat]:
        """Walk the folder in the order of the names, one directory in memory at a time."""
        with self._os_errors(), closing(walk(self._root, prefix)) as found:
            yield from found

    def delete(self, name: ObjectName) -> None:
        """Unlink the file and sync its folder; empty folders stay (they are few)."""
        *folders, leaf = name.split("/")
        with self._os_errors():
            try:
                with directory(self._root, folders) as parent:
                    os.unlink(leaf, dir_fd=parent)
                    os.fsync(parent)
            except _NOTHING_THERE:
                self._check_root()

    def clean_leftovers(self, older_than_seconds: float) -> int:
        """Remove what crashed puts left behind; returns how many files."""
        removed = 0
        oldest_kept = time.time() - older_than_seconds
        with self._os_errors():
            try:
                with directory(self._root, [INCOMING]) as incoming:
                    for entry in list(os.scandir(incoming)):
                        with suppress(FileNotFoundError):  # another gateway may clean the same folder
                            if entry.stat(follow_symlinks=False).st_mtime < oldest_kept:
                                os.unlink(entry.name, dir_fd=incoming)
                                removed += 1
            except FileNotFoundError:
                self._check_root()
        return removed

    def _write(self, incoming: int, temporary: str, body: Body, sha256: bytes) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, 0o600, dir_fd=incoming)
        try:
            write_all(descriptor, pieces(body))
            os.fsync(descriptor)
            if digest_of(descriptor) != sha256:
                raise DigestMismatch(self.name, "what was read back has another SHA-256 than was announced")
        finally:
            os.close(descriptor)

    def _is_there(self, target: int, leaf: str, sha256: bytes) -> bool:
        try:
            descriptor = os.open(leaf, _READ, dir_fd=target)
        except FileNotFoundError:
            return False
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode) or digest_of(descriptor) != sha256:
                raise NameTaken(self.name, "other bytes lie under this name")
        except OSError as error:
            if error.errno == errno.EIO:
                raise NameTaken(self.name, "unreadable bytes lie under this name") from None
            raise
        finally:
            os.close(descriptor)
        return True

    def _read(self, descriptor: int, start: int, length: int) -> bytes:
        try:
            data = read_exactly(descriptor, start, length)
        except OSError as error:
            if error.errno == errno.EIO:  # one bad sector is one bad object, not a node that is down
                raise ObjectDamaged(self.name, "the medium fails under the object") from None
            raise
        if len(data) != length:
            raise ObjectDamaged(self.name, f"the object ends {length - len(data)} bytes too early")
        return data

    @contextmanager
    def _opened(self, name: ObjectName) -> Iterator[int]:
        *folders, leaf = name.split("/")
        with self._os_errors():
            try:
                with directory(self._root, folders) as parent:
                    descriptor = os.open(leaf, _READ, dir_fd=parent)
            except _NOTHING_THERE:
                self._check_root()
                raise ObjectMissing(self.name, "no such object") from None
            try:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise ObjectMissing(self.name, "no such object: something that is no file has its name")
                yield descriptor
            finally:
                os.close(descriptor)

    def _check_root(self) -> None:
        if not self._root.is_dir():
            raise NodeUnavailable(self.name, "its folder is missing; is the disk mounted?")

    @contextmanager
    def _os_errors(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            self._check_root()
            raise from_os_error(self.name, error) from None
        except OSError as error:
            raise from_os_error(self.name, error) from None


@contextmanager
def closing_descriptor(path: Path) -> Iterator[int]:
    """Yield a descriptor of a directory and close it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
