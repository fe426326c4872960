import struct

import numpy as np
import pytest

from deid.encode import element
from dgis.transcode.errors import TranscodeError
from tests.unit.dgis.rendering.frames import native, shown

COLOURS = np.random.default_rng(5).integers(0, 256, (6, 4, 3)).astype(np.uint8)


def to_rgb(y, cb, cr):
    """PS3.3 C.7.6.3.1.2 (ITU-R BT.601), turned round."""
    r, g, b = (
        y + 1.402 * (cr - 128),
        y - 0.344136 * (cb - 128) - 0.714136 * (cr - 128),
        y + 1.772 * (cb - 128),
    )
    return [min(max(each, 0), 255) for each in (r, g, b)]


@pytest.mark.parametrize("planar", [0, 1])
def test_red_green_and_blue_as_they_lie(renderer, planar):
    packed = COLOURS.transpose(2, 0, 1).tobytes() if planar else COLOURS.tobytes()
    instance = native(COLOURS, packed=packed, photometric="RGB", planar=planar)
    assert (shown(renderer, instance) == COLOURS).all()


def test_colours_of_16_bits_keep_their_upper_half(renderer):
    deep = COLOURS.astype(np.uint16) << 8 | 0x7F
    assert (shown(renderer, native(deep, photometric="RGB", planar=0)) == COLOURS).all()


def test_luminance_and_chroma(renderer):
    picture = shown(renderer, native(COLOURS, photometric="YBR_FULL", planar=0))
    expected = np.array([[to_rgb(*map(float, pixel)) for pixel in row] for row in COLOURS])
    assert np.abs(picture - expected).max() <= 1


@pytest.mark.parametrize("partial", [False, True])
def test_halved_chroma_is_shared_by_neighbours(renderer, partial):
    pairs = np.random.default_rng(6).integers(16, 236, (6, 2, 4)).astype(np.uint8)
    name = "YBR_PARTIAL_422" if partial else "YBR_FULL_422"
    picture = shown(renderer, native(COLOURS, packed=pairs.tobytes(), photometric=name, planar=0))

    def wide(y, cb, cr):
        if not partial:
            return to_rgb(y, cb, cr)
        return to_rgb((y - 16) * 255 / 219, (cb - 128) * 255 / 224 + 128, (cr - 128) * 255 / 224 + 128)

    expected = np.array(
        [
            [wide(float(four[place]), float(four[2]), float(four[3])) for four in row for place in (0, 1)]
            for row in pairs
        ]
    )
    assert np.abs(picture - expected).max() <= 1


def palette(first, entries, *, segments=None, bits=16):
    said = struct.pack("<HHH", len(entries), first, bits)
    tags = [(0x00281101, 0x00281201, 0x00281221), (0x00281102, 0x00281202, 0x00281222)]
    tags.append((0x00281103, 0x00281203, 0x00281223))
    data = struct.pack(f"<{len(entries)}H", *entries)
    parts = {}
    for descriptor, plain, segmented in tags:
        parts[descriptor] = element(descriptor, "US", said)
        if segments is None:
            parts[plain] = element(plain, "OW", data)
        else:
            parts[segmented] = element(segmented, "OW", struct.pack(f"<{len(segments)}H", *segments))
    return b"".join(parts[tag] for tag in sorted(parts))


INDICES = np.array([[0, 2, 3, 4], [5, 6, 7, 200]], np.uint8)


def looked_up(entries, first):
    return [
        [[entries[min(max(x - first, 0), len(entries) - 1)] >> 8] * 3 for x in row]
        for row in INDICES.tolist()
    ]


def test_a_palette_from_its_first_value_on(renderer):
    entries = [0x0100, 0x2000, 0x3300, 0xFFFF, 0x8000]
    instance = native(INDICES, photometric="PALETTE COLOR", after=palette(2, entries))
    assert shown(renderer, instance).tolist() == looked_up(entries, 2)


def test_a_segmented_palette(renderer):
    """PS3.3 C.7.9.2: two entries as they are, a line of three, then the first segment once more."""
    segments = [0, 2, 0x1000, 0x2000, 1, 3, 0x5000, 2, 1, 0, 0]
    entries = [0x1000, 0x2000, 0x3000, 0x4000, 0x5000, 0x1000, 0x2000]
    instance = native(INDICES, photometric="PALETTE COLOR", after=palette(0, entries, segments=segments))
    assert shown(renderer, instance).tolist() == looked_up(entries, 0)


@pytest.mark.parametrize(
    "segments", [[], [1, 5, 0], [2, 1, 0, 0], [0, 9, 1], [9, 9, 9], [0, 2, 1, 1, 2, 0xFFFF, 0, 0]]
)
def test_a_palette_that_is_damaged_is_no_picture(renderer, segments):
    entries = list(range(50))
    instance = native(INDICES, photometric="PALETTE COLOR", after=palette(0, entries, segments=segments))
    with pytest.raises(TranscodeError, match="palette"):
        shown(renderer, instance)


@pytest.mark.parametrize("photometric", ["CMYK", "HSV", "YBR_PARTIAL_420", "XYZ"])
def test_colours_nobody_defines_any_more_are_refused(renderer, photometric):
    with pytest.raises(TranscodeError, match=r"photometric interpretation|fewer pixels"):
        shown(renderer, native(COLOURS, photometric=photometric, planar=0))
