"""The package's file: checked as a whole before anything in it is looked at, then read file by file."""

import base64
import gzip
import hashlib
import io
import re
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dgis.viewer.package import Package, ViewerError

_NAME = re.compile(r"package(?:/[A-Za-z0-9_][A-Za-z0-9._-]*)+")
_ROOT = "package/"


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a package may be at most; OHIF 3.13.2 has 50 MB in 249 files of 213 MB, the longest of 20."""

    archive_bytes: int = 128 << 20
    unpacked_bytes: int = 512 << 20
    file_bytes: int = 64 << 20
    files: int = 2000


BOUNDS = Bounds()


def checked(path: Path, package: Package, bounds: Bounds = BOUNDS) -> bytes:
    """Return the bytes of a package's file that are what its digest says.

    Raises:
        ViewerError: it cannot be read, is too long, or is another file.
    """
    try:
        with path.open("rb") as file:
            data = file.read(bounds.archive_bytes + 1)
    except OSError as error:
        raise ViewerError(f"cannot read {path}: {error.strerror}") from None
    if len(data) > bounds.archive_bytes:
        raise ViewerError(f"{path} is longer than any package here: give the file of {package.spec}")
    if base64.b64encode(hashlib.sha512(data).digest()).decode() != package.sha512:
        raise ViewerError(
            f"{path} is not {package.spec} as it was published (its SHA-512 is another one); "
            f"fetch it anew: npm pack {package.spec}"
        )
    return data


def members(data: bytes, bounds: Bounds = BOUNDS) -> Iterator[tuple[str, bytes]]:
    """Yield the files of a package, names without the leading `package/`, in the order of the archive.

    Raises:
        ViewerError: it is no such archive, holds what is no plain file, a name that leads elsewhere or
            comes twice, or more than the bounds.
    """
    seen: set[str] = set()
    try:
        with (
            gzip.GzipFile(fileobj=io.BytesIO(data)) as unzipped,
            tarfile.open(fileobj=_Counted(unzipped, bounds.unpacked_bytes), mode="r|") as archive,
        ):
            for each in archive:
                if each.isdir():
                    continue
                if not each.isreg() or not _NAME.fullmatch(each.name):
                    raise ViewerError("the package holds a link, a device or a name that leads elsewhere")
                if each.name in seen or len(seen) >= bounds.files or each.size > bounds.file_bytes:
                    raise ViewerError("the package holds a name twice, or more than any package here")
                seen.add(each.name)
                content = archive.extractfile(each)
                assert content is not None, "it is a file"
                yield each.name.removeprefix(_ROOT), content.read()
    except (tarfile.TarError, zlib.error, EOFError, gzip.BadGzipFile, ValueError) as error:
        raise ViewerError(f"the package is no archive of npm ({type(error).__name__})") from None


class _Counted(io.RawIOBase):
    """Reads on until more than `left` bytes came out."""

    def __init__(self, inner: gzip.GzipFile, left: int) -> None:
        super().__init__()
        self._inner = inner
        self._left = left

    def read(self, size: int = -1, /) -> bytes:
        """Read, never more than is left and a byte."""
        most = self._left + 1
        found = self._inner.read(most if size < 0 else min(size, most))
        self._left -= len(found)
        if self._left < 0:
            raise ViewerError("the package unpacks to more than any package here")
        return found
