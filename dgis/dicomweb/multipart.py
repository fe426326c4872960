"""Multipart answers (RFC 2046 5.1, RFC 2387; PS3.18 8.6.1.2), written part by part as they come."""

import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

Buffer = bytes | bytearray | memoryview


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its header fields, and its body in pieces."""

    headers: Mapping[str, str]
    body: Iterable[Buffer] = field(repr=False)


class Multipart:
    """One multipart answer; the closing boundary comes only after all parts are whole."""

    def __init__(self, name: str) -> None:
        self._boundary = secrets.token_hex(16)
        self.media_type = f'multipart/related; type="{name}"; boundary={self._boundary}'

    def pieces(self, parts: Iterable[Part]) -> Iterator[Buffer]:
        """Yield the body."""
        start = f"--{self._boundary}\r\n"
        for part in parts:
            fields = "".join(f"{name}: {value}\r\n" for name, value in part.headers.items())
            yield f"{start}{fields}\r\n".encode("latin-1")
            yield from part.body
            start = f"\r\n--{self._boundary}\r\n"
        yield f"\r\n--{self._boundary}--\r\n".encode()
