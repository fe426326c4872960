"""The one place where payloads are decoded: digest first, then size, then the decoder, then its result."""

import hashlib

from storage_nodes.record.codecs import htj2k, zstd
from storage_nodes.record.codecs.choose import crc32
from storage_nodes.record.errors import DamagedRecordError
from storage_nodes.record.index import PayloadEntry
from storage_nodes.record.values import Buffer, Codec, FrameLayout


def check_digest(body: Buffer, entry: PayloadEntry) -> None:
    """Compare a payload as it lies with its SHA-256.

    Raises:
        DamagedRecordError: it is another.
    """
    if hashlib.sha256(body).digest() != entry.sha256:
        raise DamagedRecordError("a payload is damaged")


def decode_payload(body: Buffer, entry: PayloadEntry, layout: FrameLayout | None) -> Buffer:
    """Give back the payload that was packed.

    Args:
        body: the payload as it lies.
        entry: what a checked index says of it (`checks.check_index`).
        layout: of its pixel element.

    Raises:
        DamagedRecordError: the digest does not match, or what comes out is not what the index says.
    """
    check_digest(body, entry)
    if entry.codec is Codec.RAW:
        return body
    payload = _decode(body, entry, layout)
    if len(payload) != entry.decoded_bytes or crc32(payload) != entry.decoded_crc32:
        raise DamagedRecordError("a payload does not decode to what was packed")
    return payload


def _decode(body: Buffer, entry: PayloadEntry, layout: FrameLayout | None) -> Buffer:
    if entry.codec is Codec.ZSTD:
        return zstd.decompress(body, entry.decoded_bytes)
    if layout is None:
        raise DamagedRecordError("a codestream without a layout")
    try:
        return htj2k.native(htj2k.decode(body, layout), layout)
    except (RuntimeError, ValueError):
        raise DamagedRecordError("a codestream does not decode") from None
