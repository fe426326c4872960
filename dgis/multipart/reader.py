"""A reader of multipart bodies (RFC 2046 5.1, RFC 2387) that does no I/O: bytes in, events out."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from dgis.multipart.errors import MultipartError

_PLAIN = frozenset({"", "7bit", "8bit", "binary"})  # RFC 2045 6.2: the octets as they are

_quiet = logging.getLogger(f"{__name__}.parser")  # the parser's own lines quote the body
_quiet.disabled = True


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much of a body that is no data may be held or passed over."""

    fields: int = 16  # of one part
    field_bytes: int = 4096  # name and value
    preamble_bytes: int = 64 << 10
    parts: int | None = None


@dataclass(frozen=True, slots=True)
class PartBegins:
    """A part begins; its fields by name in lower case."""

    fields: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class PartEnds:
    """All of a part was given."""


Event = PartBegins | memoryview | PartEnds
"""Data of a part is given as a view of the bytes that were fed, never empty."""

_PART_ENDS = PartEnds()


class MultipartReader:
    """Takes a body in pieces of any size; the events are the same however it is cut.

    An error is raised by the call after the one that met it, so that the events before it are always had.
    """

    def __init__(self, boundary: bytes, bounds: Bounds | None = None) -> None:
        self._bounds = bounds or Bounds()
        self._events: list[Event] = []
        self._failure: MultipartError | None = None
        self._ended = False
        self._parts = -1  # the preamble is read as a part of its own
        self._preamble_bytes = 0
        self._fields: dict[str, str] = {}
        self._name = bytearray()
        self._value = bytearray()
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._part_begins,
                "on_header_field": self._field_name,
                "on_header_value": self._field_value,
                "on_header_end": self._field_ends,
                "on_headers_finished": self._fields_end,
                "on_part_data": self._data,
                "on_part_end": self._part_ends,
                "on_end": self._body_ends,
            },
            max_header_count=self._bounds.fields,
            max_header_size=self._bounds.field_bytes,
        )
        self._parser.logger = _quiet
        # The parser knows neither a preamble nor padding after the first boundary. Both are allowed (RFC 2046
        # 5.1.1) and both follow from reading the preamble as a part; a body may begin with its boundary.
        self._parser.write(b"--" + boundary + b"\r\n\r\n\r\n")
        self._preamble_bytes = 0

    def feed(self, data: bytes) -> list[Event]:
        """Take the next bytes; return what they bring.

        Raises:
            MultipartError: what came before is no multipart body.
        """
        if self._failure is not None:
            raise self._failure
        try:
            self._parser.write(data)
        except MultipartError as error:
            self._failure = error
        except FormParserError:
            self._failure = MultipartError("the fields or the boundary of a part are malformed or too long")
        events, self._events = self._events, []
        return events

    def finish(self) -> None:
        """Say that nothing more comes.

        Raises:
            MultipartError: the body is not complete, or it never was one.
        """
        if self._failure is not None:
            raise self._failure
        if not self._ended:
            raise MultipartError("the body ends before its closing boundary")

    def _part_begins(self) -> None:
        self._parts += 1
        if self._bounds.parts is not None and self._parts > self._bounds.parts:
            raise MultipartError("the body has too many parts")
        self._fields = {}

    def _field_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _field_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _field_ends(self) -> None:
        name = self._name.decode("latin-1").lower()
        value = self._value.decode("latin-1").strip(" \t")
        self._name.clear()
        self._value.clear()
        if name in self._fields:
            raise MultipartError("a part has a field twice")
        self._fields[name] = value

    def _fields_end(self) -> None:
        if not self._parts:
            return
        if self._fields.get("content-type", "").lower().startswith("multipart/"):
            raise MultipartError("a part is a multipart body itself")
        if self._fields.get("content-transfer-encoding", "").lower() not in _PLAIN:
            raise MultipartError("a part has a transfer encoding, which HTTP does not use")
        self._events.append(PartBegins(self._fields))

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._parts:
            self._events.append(memoryview(data)[start:end])
            return
        self._preamble_bytes += end - start
        if self._preamble_bytes > self._bounds.preamble_bytes:
            raise MultipartError("no part begins where one should: the boundary is not the announced one")

    def _part_ends(self) -> None:
        if self._parts:
            self._events.append(_PART_ENDS)

    def _body_ends(self) -> None:
        self._ended = True
