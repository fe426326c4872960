import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from deid.elements import Buffer

UNFINISHED = ".dgis-unfinished"
_READ_BYTES = 1 << 20
# A file system groups what is synced at once: four at a time take a third of the time of one by one.
_SYNCING_AT_ONCE = 4
# File systems without hard links (FAT and the like).
_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


class Occupied(Exception):  # noqa: N818 - a refusal
    """Another run writes into the folder."""

    def __init__(self) -> None:
        super().__init__("another run writes into this folder: wait for its end, or choose another")


@contextmanager
def writing_alone(folder: Path, mode: int) -> Iterator[None]:
    """Make a folder and hold it against other runs; what a crash left unfinished in it is taken away.

    Raises:
        Occupied: another process holds it.
        OSError: it cannot be made.
    """
    folder.mkdir(mode=mode, parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Occupied from None
        except OSError:
            pass  # a network file system without locks on folders: nobody can hold it
        unfinished = folder / UNFINISHED
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        try:
            yield
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    finally:
        os.close(descriptor)


class Shelf:
    """A folder into which files are put whole or not at all, and never over another file.

    A file is written in a folder of its own, synced, and gets its name by a hard link, which fails where the
    name is taken: that is the commit point. A crash before leaves an unfinished file that the next run sweeps
    away, a crash after it the whole file.
    """

    def __init__(self, folder: Path, file_mode: int = 0o666, folder_mode: int = 0o777) -> None:
        """Take a folder that `writing_alone` holds; modes are cut by the umask."""
        self.folder = folder
        self._modes = file_mode, folder_mode
        self._changed: set[Path] = set()

    def unfinished(self) -> Path:
        """Return a new name under which a file can be written."""
        return self.folder / UNFINISHED / secrets.token_hex(12)

    def write(self, pieces: Iterable[Buffer]) -> Path:
        """Write a file under an unfinished name; it is not yet durable."""
        path = self.unfinished()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(path, flags, self._modes[0]), "wb", buffering=0) as file:
            for piece in pieces:
                _write_all(file.fileno(), piece)
        return path

    @staticmethod
    def sync(paths: Iterable[Path]) -> None:
        """Make the contents of files durable."""
        paths = list(paths)
        if len(paths) == 1:
            _sync(paths[0])
            return
        with ThreadPoolExecutor(_SYNCING_AT_ONCE) as threads:
            for _ in threads.map(_sync, paths):
                pass

    def name(self, unfinished: Path, place: str) -> bool:
        """Give a synced file its place below the folder; False where something has it already."""
        final = self.folder / place
        self._make(final.parent)
        try:
            os.link(unfinished, final)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            if final.exists():
                return False
            unfinished.rename(final)
        self._changed.add(final.parent)
        unfinished.unlink(missing_ok=True)
        return True

    def settle(self) -> None:
        """Make the names given since the last call durable."""
        for folder in self._changed:
            _sync(folder)
        self._changed.clear()

    def _make(self, folder: Path) -> None:
        if folder in self._changed or folder.is_dir():
            return
        self._make(folder.parent)
        folder.mkdir(mode=self._modes[1], exist_ok=True)
        self._changed.add(folder.parent)


def holds(path: Path, pieces: Iterable[Buffer]) -> bool:
    """Whether a file has exactly these bytes.

    Raises:
        OSError: it cannot be read.
    """
    if not path.is_file():
        return False
    with path.open("rb") as file:
        for piece in pieces:
            view = memoryview(piece)
            for start in range(0, len(view), _READ_BYTES):
                part = view[start : start + _READ_BYTES]
                if file.read(len(part)) != part:
                    return False
        return not file.read(1)


def same_files(one: Path, other: Path) -> bool:
    """Whether two files have the same bytes; what is no file has none.

    Raises:
        OSError: one cannot be read.
    """
    if not other.is_file() or one.stat().st_size != other.stat().st_size:
        return False
    with one.open("rb") as first:
        return holds(other, iter(lambda: first.read(_READ_BYTES), b""))


def _write_all(descriptor: int, piece: Buffer) -> None:
    view = memoryview(piece)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
