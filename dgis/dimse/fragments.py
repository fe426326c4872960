"""Cutting a message into P-DATA-TF PDUs without copying it (PS3.8 9.3.5, annex E)."""

from collections.abc import Iterable, Iterator

from dgis.dimse.pdu import CONTROL_LAST, DATA_HEADER, PDV_LENGTH_FIELD, PDV_OVERHEAD, PduType

Buffer = bytes | bytearray | memoryview

_FLUSH_BYTES = 1 << 20  # gathered before one system call; more brings no speed


def data_pdus(
    context_id: int, control: int, chunks: Iterable[Buffer], max_pdu_bytes: int
) -> Iterator[list[Buffer]]:
    """Yield PDUs as lists of buffers (header, payload pieces), the last one marked as last fragment.

    Each PDU holds one presentation data value and at most `max_pdu_bytes` after its six header bytes. A PDU
    is held back until more bytes are seen, so the end need not be known beforehand.
    """
    room = max_pdu_bytes - PDV_OVERHEAD
    pieces: list[Buffer] = []
    size = 0
    for chunk in chunks:
        view = memoryview(chunk)
        while size + len(view) > room:
            pieces.append(view[: room - size])
            view = view[room - size :]
            yield [_header(context_id, control, room), *pieces]
            pieces, size = [], 0
        if len(view):
            pieces.append(view)
            size += len(view)
    yield [_header(context_id, control | CONTROL_LAST, size), *pieces]


def single_pdu(context_id: int, control: int, payload: bytes) -> bytes:
    """Return a whole message part that fits one PDU."""
    return _header(context_id, control | CONTROL_LAST, len(payload)) + payload


def gathered(pdus: Iterable[list[Buffer]], first: list[Buffer] | None = None) -> Iterator[list[Buffer]]:
    """Join PDUs into groups worth one system call each; `first` goes out with the first group."""
    group, size = list(first or ()), 0
    for pdu in pdus:
        group += pdu
        size += sum(map(len, pdu))
        if size >= _FLUSH_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _header(context_id: int, control: int, payload_bytes: int) -> bytes:
    return DATA_HEADER.pack(
        PduType.DATA,
        0,
        payload_bytes + PDV_OVERHEAD,
        payload_bytes + PDV_OVERHEAD - PDV_LENGTH_FIELD,
        context_id,
        control,
    )
