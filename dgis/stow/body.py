"""The body of a store request: files one after another, in parts or alone; bytes in, outcomes out."""

from collections.abc import Callable
from typing import Protocol

from dgis.dimse.status import Refusal, Status
from dgis.multipart.errors import MultipartError
from dgis.multipart.media import RELATED, MediaType, boundary_of, media_type
from dgis.multipart.reader import Bounds, MultipartReader, PartBegins, PartEnds
from dgis.stow.instance import InstanceReader, Terms
from dgis.stow.outcomes import Failed, Outcome

DICOM = "application/dicom"

_MOST_PARTS = 50_000  # a study has some thousands
_NO_DICOM = Refusal(Status.CANNOT_UNDERSTAND, "the part is not application/dicom")
_BROKEN_OFF = Refusal(Status.CANNOT_UNDERSTAND, "the body is no multipart body from here on")
_LEFT = Refusal(Status.PROCESSING_FAILURE, "the request ended before its body did")


class Body(Protocol):
    """Takes a body in pieces and tells of each file as it is kept or refused; one thread at a time."""

    def take(self, piece: bytes) -> None:
        """Take the next bytes.

        Raises:
            MultipartError: the body is not what its media type says; what was kept before it stays.
        """

    def finish(self) -> None:
        """Take note that the body is complete; raises as `take`."""

    def abandon(self) -> None:
        """Forget the file that is under way, if one is."""


Told = Callable[[Outcome], None]


class Unsupported(Exception):  # noqa: N818 (it becomes an answer)
    """A media type that is not stored."""


def open_body(kind: MediaType, terms: Terms, told: Told) -> Body:
    """Return what reads a body of a media type (PS3.18 10.5.1).

    Raises:
        Unsupported: it brings no files.
        MultipartError: it names no boundary.
    """
    if kind.name == DICOM:
        return _Alone(terms, told)
    if kind.name == RELATED and kind.parameters.get("type", DICOM).lower() == DICOM:
        return _Parts(boundary_of(kind), terms, told)
    raise Unsupported


class _Alone:
    """A body that is one file."""

    def __init__(self, terms: Terms, told: Told) -> None:
        self._reader: InstanceReader | None = InstanceReader(terms)
        self._told = told

    def take(self, piece: bytes) -> None:
        assert self._reader is not None, "the body is not over"
        self._reader.take(memoryview(piece))

    def finish(self) -> None:
        reader, self._reader = self._reader, None
        assert reader is not None, "a body ends once"
        self._told(reader.end())

    def abandon(self) -> None:
        if self._reader is not None:
            self._told(self._reader.abandon(_LEFT))
            self._reader = None


class _Parts:
    """A body of parts, each a file."""

    def __init__(self, boundary: bytes, terms: Terms, told: Told) -> None:
        self._parts = MultipartReader(boundary, Bounds(parts=_MOST_PARTS))
        self._terms = terms
        self._told = told
        self._reader: InstanceReader | None = None

    def take(self, piece: bytes) -> None:
        try:
            events = self._parts.feed(piece)
        except MultipartError:
            self._break_off()
            raise
        for event in events:
            if isinstance(event, memoryview):
                if self._reader is not None:
                    self._reader.take(event)
            elif isinstance(event, PartEnds):
                self._end()
            else:
                self._begin(event)

    def finish(self) -> None:
        try:
            self._parts.finish()
        except MultipartError:
            self._break_off()
            raise

    def abandon(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            self._told(reader.abandon(_LEFT))

    def _begin(self, part: PartBegins) -> None:
        said = part.fields.get("content-type", DICOM)
        if media_type(said).name == DICOM:
            self._reader = InstanceReader(self._terms)
        else:
            self._told(Failed(_NO_DICOM))

    def _end(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            self._told(reader.end())

    def _break_off(self) -> None:
        reader, self._reader = self._reader, None
        self._told(reader.abandon(_BROKEN_OFF) if reader is not None else Failed(_BROKEN_OFF))
