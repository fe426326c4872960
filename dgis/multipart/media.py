"""Media types with parameters (RFC 9110 8.3), and what one says of a multipart/related body (RFC 2387 3)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from python_multipart.multipart import parse_options_header

from dgis.multipart.errors import MultipartError

RELATED = "multipart/related"

_LONGEST_FIELD = 1024
# RFC 2046 5.1.1: these characters, the last one no space. It allows 70 of them; Orthanc's plugin sends 73.
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,127}[0-9A-Za-z'()+_,\-./:=?]")


@dataclass(frozen=True, slots=True)
class MediaType:
    """A media type in lower case, and its parameters by name in lower case, quotes removed."""

    name: str
    parameters: Mapping[str, str] = field(default_factory=dict)


def media_type(value: str) -> MediaType:
    """Parse the value of a Content-Type field; what is none has the empty name."""
    if len(value) > _LONGEST_FIELD or not value.isascii():
        return MediaType("")
    name, parameters = parse_options_header(value)
    return MediaType(name.decode().strip(), {key.decode(): each.decode() for key, each in parameters.items()})


def boundary_of(kind: MediaType) -> bytes:
    """Return the boundary between the parts.

    Raises:
        MultipartError: there is none, or none of 1 to 128 characters that RFC 2046 5.1.1 allows.
    """
    boundary = kind.parameters.get("boundary", "")
    if not _BOUNDARY.fullmatch(boundary):
        raise MultipartError(
            "the media type names no boundary, or none of 1 to 128 characters that RFC 2046 allows"
        )
    return boundary.encode()
