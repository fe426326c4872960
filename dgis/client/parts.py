"""Instances out of an answer of WADO-RS (PS3.18 10.4): written aside, named when they are whole."""

import hashlib
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from dgis.client.errors import AnswerError
from dgis.multipart.errors import MultipartError
from dgis.multipart.media import RELATED, boundary_of, media_type
from dgis.multipart.reader import MultipartReader, PartBegins, PartEnds

# Any transfer syntax: as it is stored, which costs the gateway nothing (PS3.18 8.7.3.5.2).
ACCEPT = 'multipart/related; type="application/dicom"; transfer-syntax=*'


@dataclass(frozen=True, slots=True)
class Arrived:
    """One instance in a file beside where it will lie, its SHA-256 and its UID."""

    file: Path
    digest: str
    uid: str


def arrivals(fields: Mapping[str, str], body: Iterable[bytes], folder: Path) -> Generator[Arrived]:
    """Yield the instances of an answer as they come; a file that nobody took goes.

    Raises:
        AnswerError: the body is not what its media type says, ends early, or holds something else.
    """
    kind = media_type(fields.get("content-type", ""))
    if kind.name != RELATED:
        raise AnswerError("the gateway gave something else than instances; is it of this version?")
    part: _Part | None = None
    try:
        reader = MultipartReader(boundary_of(kind))
        for piece in body:
            for event in reader.feed(piece):
                if isinstance(event, PartBegins):
                    part = _Part(folder)
                elif isinstance(event, PartEnds):
                    if part is not None:
                        yield part.arrived()
                elif part is not None:
                    part.write(event)
        reader.finish()
    except MultipartError as error:
        raise AnswerError(f"the gateway's answer is damaged or was cut: {error}") from error
    finally:
        if part is not None:
            part.discard()


class _Part:
    """A file of which not all is there yet."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / f".part-{uuid4().hex}"
        self._file = self._path.open("xb")  # closed in `arrived` or `discard`
        self._digest = hashlib.sha256()

    def write(self, data: memoryview) -> None:
        self._file.write(data)
        self._digest.update(data)

    def arrived(self) -> Arrived:
        self._file.close()
        try:
            header = dcmread(self._path, stop_before_pixels=True, specific_tags=["SOPInstanceUID"])
        except (InvalidDicomError, EOFError, ValueError) as error:
            raise AnswerError("the gateway gave something that is no DICOM file") from error
        return Arrived(self._path, self._digest.hexdigest(), str(header.get("SOPInstanceUID", "")))

    def discard(self) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)
