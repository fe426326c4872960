"""Whether the coding segments of a JPEG or JPEG-LS stream hold what they are for, to the last byte."""

from collections.abc import Callable

_SOF_BYTES, _COMPONENT_BYTES = 6, 3  # ISO/IEC 10918-1 B.2.2
_SCAN_BYTES, _SCAN_COMPONENT_BYTES = 4, 2  # B.2.3; ISO/IEC 14495-1 C.2.3
_COUNTS = 17  # of a Huffman table: its place, and how many codes there are of each length (B.2.4.2)
_QUANTISATION = 64
_MOST_CONDITIONS = 32  # pairs of B.2.4.3
_PRESET_BYTES, _OVERSIZE_BYTES = 11, 8  # 14495-1 C.2.4.1


def is_filled(marker: int, content: memoryview) -> bool:
    """Whether the content of a segment has the length that it states; decoders step over what is more."""
    check = _CHECKS.get(marker)
    return check is None or check(content)


def _is_frame(content: memoryview) -> bool:
    return len(content) > _SOF_BYTES and len(content) == _SOF_BYTES + _COMPONENT_BYTES * content[5]


def _is_scan(content: memoryview) -> bool:
    return bool(content) and len(content) == _SCAN_BYTES + _SCAN_COMPONENT_BYTES * content[0]


def _are_huffman_tables(content: memoryview) -> bool:
    return _are_tables(content, lambda rest: _COUNTS + sum(rest[1:_COUNTS]))


def _are_quantisation_tables(content: memoryview) -> bool:
    return _are_tables(content, lambda rest: 1 + _QUANTISATION * (1 + (rest[0] >> 4 & 1)))


def _are_tables(content: memoryview, size: Callable[[memoryview], int]) -> bool:
    while content:
        length = size(content)
        if length > len(content):
            return False
        content = content[length:]
    return True


def _is_preset(content: memoryview) -> bool:
    """Coding parameters and oversize dimensions; palettes (kinds 2 and 3) are not for DICOM."""
    kind = content[0] if content else 0
    return len(content) == _PRESET_BYTES if kind == 1 else kind == 4 and len(content) <= _OVERSIZE_BYTES  # noqa: PLR2004


_CHECKS: dict[int, Callable[[memoryview], bool]] = {
    **dict.fromkeys({*range(0xC0, 0xD0), 0xDE, 0xF7} - {0xC4, 0xC8, 0xCC}, _is_frame),
    0xC4: _are_huffman_tables,
    0xCC: lambda content: len(content) % 2 == 0 and len(content) <= _MOST_CONDITIONS,
    0xDA: _is_scan,
    0xDB: _are_quantisation_tables,
    0xDC: lambda content: len(content) == 2,  # noqa: PLR2004 - number of lines
    0xDD: lambda content: 2 <= len(content) <= 4,  # noqa: PLR2004 - restart interval; four bytes in JPEG-LS
    0xDF: lambda content: len(content) == 1,
    0xF8: _is_preset,
}
