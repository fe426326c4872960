_MORE = 0x80
_LOW = 0x7F
_MOST_BITS = 63


def write_varint(out: bytearray, number: int) -> None:
    """Append a whole number, 0 to 2**63 - 1, as little endian groups of seven bits."""
    if number < 0 or number >> _MOST_BITS:
        raise ValueError("a varint holds 0 to 2**63 - 1")
    while number > _LOW:
        out.append(number & _LOW | _MORE)
        number >>= 7
    out.append(number)


def read_varint(raw: bytes, position: int) -> tuple[int, int]:
    """Return the number at `position` and the offset after it.

    Raises:
        IndexError: the number is cut short, or longer than 63 bits.
    """
    number = shift = 0
    while shift < _MOST_BITS:
        byte = raw[position]
        position += 1
        number |= (byte & _LOW) << shift
        if byte <= _LOW:
            return number, position
        shift += 7
    raise IndexError("varint of more than 63 bits")
