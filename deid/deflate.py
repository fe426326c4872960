import zlib
from io import BytesIO

from deid.elements import Buffer

# PS3.5 A.5 and the deflated forms of referenced pixel syntaxes: the whole data set is one raw deflate stream.
DEFLATED_SYNTAXES = frozenset({"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"})
DEFAULT_LIMIT_BYTES = 1 << 30
_STEP_BYTES = 1 << 20


class InflateError(ValueError):
    """A stream that is damaged, cut, or larger than allowed; the message holds sizes only."""


def is_deflated(transfer_syntax_uid: str) -> bool:
    """Whether data sets of the transfer syntax are deflated as a whole."""
    return transfer_syntax_uid in DEFLATED_SYNTAXES


def inflate_bounded(stream: Buffer, limit_bytes: int = DEFAULT_LIMIT_BYTES) -> bytes:
    """Inflate a deflated data set; at most `limit_bytes` are ever held. Bytes after the stream are left out.

    Raises:
        InflateError: the stream is damaged or cut, or inflates beyond `limit_bytes`.
    """
    inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    inflated = BytesIO()  # gives its buffer out without a copy, which a list of pieces would need
    try:
        with memoryview(stream) as view:
            for start in range(0, len(view), _STEP_BYTES):
                rest: bytes | memoryview = view[start : start + _STEP_BYTES]
                while rest and not inflater.eof:
                    piece = inflater.decompress(rest, _STEP_BYTES)
                    rest = inflater.unconsumed_tail
                    _add(inflated, piece, limit_bytes)
                if inflater.eof:
                    break
            # A full output step with no input left may hide more output behind it.
            while not inflater.eof and (piece := inflater.decompress(b"", _STEP_BYTES)):
                _add(inflated, piece, limit_bytes)
    except zlib.error as error:
        raise InflateError("damaged deflate stream") from error
    if not inflater.eof:
        raise InflateError("deflate stream without end")
    return inflated.getvalue()


def _add(inflated: BytesIO, piece: bytes, limit_bytes: int) -> None:
    if inflated.tell() + len(piece) > limit_bytes:
        raise InflateError(f"inflates beyond {limit_bytes} bytes")
    inflated.write(piece)
