import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import NamedTuple

from deid.deflate import InflateError, inflate_bounded, is_deflated
from deid.elements import Buffer, WalkError, detect_encoding, elements, encoding_of
from deid.engine import MAX_INFLATED_BYTES
from deid.files.instance import LeftOut
from deid.files.part10 import Part10, read_part10

_FRONT_BYTES = 8 << 10  # holds the SOP instance UID of nearly every file
_READ_WHOLE_BYTES = 64 << 20  # larger files are mapped, so that memory does not follow their size
_SOP_INSTANCE_UID = 0x00080018


class Found(NamedTuple):
    """A file of the tree: its path below the root, divided by slashes, and its bytes; or why it is left out.

    `path` is as the file system has it (undecodable bytes as surrogates), and may name a patient.
    """

    path: str
    size: int
    left_out: LeftOut | None = None


@dataclass(frozen=True, slots=True)
class Tree:
    """A folder walked in one order on every machine, or a single file."""

    root: Path = field(repr=False)

    def walk(self) -> Iterator[Found]:
        """Yield every file, sorted by the bytes of its name, a folder's own files before those below it.

        A link is followed to a file inside the root, and nowhere else.

        Raises:
            OSError: a folder cannot be listed.
        """
        if not self.root.is_dir():
            yield self._found(self.root, self.root.name)
            return
        yield from self._below(self.root, "")

    def place(self, path: str) -> Path:
        """Return where a file lies."""
        return self.root / path if self.root.is_dir() else self.root

    def _below(self, folder: Path, prefix: str) -> Iterator[Found]:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: os.fsencode(entry.name))
        folders = [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                yield self._found(Path(entry.path), f"{prefix}{entry.name}")
        for entry in folders:
            yield from self._below(Path(entry.path), f"{prefix}{entry.name}/")

    def _found(self, file: Path, path: str) -> Found:
        status = file.lstat()
        if stat.S_ISLNK(status.st_mode):
            real = file.resolve()
            if file != self.root and not real.is_relative_to(self.root.resolve()):
                return Found(path, 0, LeftOut.LINK)
            try:
                status = real.stat()
            except OSError:
                return Found(path, 0, LeftOut.LINK)
            if stat.S_ISDIR(status.st_mode):
                return Found(path, 0, LeftOut.LINK)
        if not stat.S_ISREG(status.st_mode):
            return Found(path, 0, LeftOut.SPECIAL)
        return Found(path, status.st_size)


def read_file(path: Path) -> Buffer:
    """Return the bytes of a file, mapped where they are many.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size <= _READ_WHOLE_BYTES:
            return file.read()
        return mmap(file.fileno(), 0, access=ACCESS_READ)


def sop_instance_uid(path: Path) -> str | LeftOut:
    """Return the SOP instance UID of a file as the de-identifier will read it, "" where it has none.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        front = file.read(_FRONT_BYTES)
    found = read_part10(front)
    if found is None:
        return LeftOut.NOT_DICOM
    if found.directory:
        return LeftOut.DIRECTORY
    whole = len(front) < _FRONT_BYTES
    uid = None if is_deflated(found.transfer_syntax) else _uid_in(front[found.start :], found, whole=whole)
    return _uid_of_all(read_file(path)) if uid is None else uid


def _uid_of_all(file: Buffer) -> str:
    found = read_part10(file)
    if found is None:
        return ""
    dataset: Buffer = memoryview(file)[found.start :]
    if is_deflated(found.transfer_syntax):
        try:
            dataset = inflate_bounded(dataset, MAX_INFLATED_BYTES)
        except InflateError:
            return ""
    return _uid_in(dataset, found, whole=True) or ""


def _uid_in(dataset: Buffer, found: Part10, *, whole: bool) -> str | None:
    """Return the first SOP instance UID; None where these bytes do not go as far."""
    try:
        for element in elements(dataset, detect_encoding(dataset, encoding_of(found.transfer_syntax))):
            if element.tag == _SOP_INSTANCE_UID:
                return bytes(dataset[element.value : element.end]).decode("latin_1").strip(" \0")
    except WalkError:
        pass
    return "" if whole else None
