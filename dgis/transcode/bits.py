from collections.abc import Iterable, Iterator

_BITS_IN_BYTE = 8


class BitJoiner:
    """Joins frames whose last byte is not full: native bits of 1-bit images never pause (PS3.5 8.2).

    Args:
        frame_bits: of every frame; multiples of 8 pass through.
    """

    def __init__(self, frame_bits: int) -> None:
        self._frame_bits = frame_bits
        self._carry, self._carried_bits = 0, 0

    def frame(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Yield what is whole bytes once this frame was added; the first bit of a byte is its lowest."""
        if not self._frame_bits % _BITS_IN_BYTE:
            yield from pieces
            return
        bits = int.from_bytes(b"".join(pieces), "little") & ((1 << self._frame_bits) - 1)
        self._carry |= bits << self._carried_bits
        self._carried_bits += self._frame_bits
        whole, self._carried_bits = divmod(self._carried_bits, _BITS_IN_BYTE)
        yield (self._carry & ((1 << whole * _BITS_IN_BYTE) - 1)).to_bytes(whole, "little")
        self._carry >>= whole * _BITS_IN_BYTE

    def rest(self) -> bytes:
        """Return the byte that no frame has filled, if there is one."""
        return self._carry.to_bytes(1, "little") if self._carried_bits else b""
