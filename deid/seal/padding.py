from collections.abc import Iterator

from deid.seal.segments import OVERHEAD_BYTES, PIECE_BYTES


def padded_bytes(length: int) -> int:
    """Return the smallest PADMÉ length that holds `length` bytes.

    Padded Uniform Random Blobs (Nikitin et al., PETS 2019, section 4): of a length with exponent E only the
    top log2(E) + 1 bits may differ from zero. Adds at most 12 %, less the longer the object.
    """
    if length < 2:  # noqa: PLR2004 - the logarithm of the exponent needs one
        return length
    exponent = length.bit_length() - 1
    zero_bits = exponent - exponent.bit_length()
    mask = (1 << zero_bits) - 1
    return length + mask & ~mask


def padding_segments(room: int) -> Iterator[int]:
    """Yield the stored lengths of the segments that fill `room` bytes; writer and reader cut alike.

    Raises:
        ValueError: the room is too small for nonce and tag of one segment.
    """
    if room < OVERHEAD_BYTES:
        raise ValueError("padding has no room for nonce and tag")
    while room:
        stored = min(room, PIECE_BYTES + OVERHEAD_BYTES)
        if 0 < room - stored < OVERHEAD_BYTES:
            stored -= OVERHEAD_BYTES
        yield stored
        room -= stored
