import struct
from dataclasses import dataclass

from deid.seal.values import SealNames, SealReason, SealRefused

MAGIC = b"\x89DGSEAL\n"
VERSION = 1
MAX_HEADER_BYTES = 512
ID_BYTES = 16
_FIXED = struct.Struct("<8sHHIQ16s")
_LENGTHS = slice(12, 24)  # directory length and object length: known only when everything else is written


@dataclass(frozen=True, slots=True)
class Header:
    """The clear front of a companion, as SEAL.md lays it out."""

    names: SealNames
    companion_id: bytes
    directory_bytes: int
    object_bytes: int

    def encode(self) -> bytes:
        """Write the header; its length depends on the names only."""
        names = b"".join(
            bytes([len(raw)]) + raw
            for raw in (
                name.encode("ascii") for name in (self.names.site, self.names.patient_key, self.names.part)
            )
        )
        length = _FIXED.size + len(names)
        fixed = _FIXED.pack(
            MAGIC, VERSION, length, self.directory_bytes, self.object_bytes, self.companion_id
        )
        return fixed + names


def identity(header: bytes) -> bytes:
    """Return the part of an encoded header that is fixed before the first segment is encrypted."""
    return header[: _LENGTHS.start] + header[_LENGTHS.stop :]


def parse_header(raw: bytes) -> tuple[Header, bytes]:
    """Read a header from the first bytes of an object; return it and its encoded form.

    Raises:
        SealRefused: no companion, another version, or a header that contradicts itself.
    """
    if len(raw) < _FIXED.size or not raw.startswith(MAGIC):
        raise SealRefused(SealReason.NOT_A_COMPANION)
    _magic, version, length, directory_bytes, object_bytes, companion_id = _FIXED.unpack_from(raw)
    if version != VERSION:
        raise SealRefused(SealReason.UNKNOWN_VERSION)
    encoded = raw[:length]
    names: list[str] = []
    position = _FIXED.size
    try:
        for _ in range(3):
            stop = position + 1 + encoded[position]
            names.append(encoded[position + 1 : stop].decode("ascii"))
            position = stop
        header = Header(SealNames(*names), companion_id, directory_bytes, object_bytes)
    except (IndexError, ValueError) as error:
        raise SealRefused(SealReason.DAMAGED) from error
    if position != length or len(encoded) != length or length > MAX_HEADER_BYTES:
        raise SealRefused(SealReason.DAMAGED)
    return header, encoded
