"""Answers as a ZIP file (Supplement 211 of PS3.18), written member by member as they come.

Members are stored: compressed pixels do not shrink, and deflating native ones would hold a core for every
reader. Their names are numbers: a UID of an original identifies, and names are shown where files are not.
"""

import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from dgis.dicomweb.multipart import Buffer

ZIP = "application/zip"

_LARGE_BYTES = 1 << 31  # from here on a member has the sizes of ZIP64; so has one whose size is not known


@dataclass(frozen=True, slots=True)
class Member:
    """One file: its body in pieces, and its length in bytes where that is known."""

    name: str
    length: int | None
    body: Iterable[Buffer] = field(repr=False)


def zipped(members: Iterable[Member]) -> Iterator[Buffer]:
    """Yield a ZIP file; the directory that makes it one comes only after all members are whole."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for each in members:
            large = each.length is None or each.length >= _LARGE_BYTES
            with archive.open(zipfile.ZipInfo(each.name), "w", force_zip64=large) as member:
                for piece in each.body:
                    member.write(piece)
                    yield from sink.taken()
            yield from sink.taken()
    yield from sink.taken()


class _Sink:
    """What the archive writes, until it is taken; it cannot be gone back in."""

    def __init__(self) -> None:
        self._pieces: list[Buffer] = []

    def write(self, piece: Buffer) -> int:
        self._pieces.append(piece)
        return len(piece)

    def flush(self) -> None:
        """Nothing waits here."""

    def close(self) -> None:
        """Nothing is open."""

    def taken(self) -> list[Buffer]:
        pieces, self._pieces = self._pieces, []
        return pieces
