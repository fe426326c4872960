"""The rendering of grey levels against the formulas of PS3.3 C.11 written out, one number at a time."""

import math
import struct

import numpy as np
import pytest

from deid.encode import element, sequence
from dgis.rendering.grey import windowed
from dgis.rendering.view import Function, MediaType, View, Window
from tests.unit.dgis.rendering.frames import PNG, ds, native, shown

RAMP = np.arange(-32, 32, dtype=np.int16).reshape(8, 8) * 16


def one_by_one(x, c, w, function):
    """PS3.3 C.11.2.1.2.1, C.11.2.1.3.1, C.11.2.1.3.2 with ymin 0 and ymax 255."""
    if function is Function.SIGMOID:
        return 255 / (1 + math.exp(min(-4 * (x - c) / w, 700)))
    if function is Function.LINEAR_EXACT:
        if x <= c - w / 2:
            return 0
        return 255 if x > c + w / 2 else ((x - c) / w + 0.5) * 255
    if x <= c - 0.5 - (w - 1) / 2:
        return 0
    return 255 if x > c - 0.5 + (w - 1) / 2 else ((x - (c - 0.5)) / (w - 1) + 0.5) * 255


@pytest.mark.parametrize("function", Function)
@pytest.mark.parametrize(("center", "width"), [(40, 400), (0, 1), (-600.5, 1500.25), (2048, 4096), (0.5, 2)])
def test_windows_are_those_of_the_standard(function, center, width):
    values = np.array([-1e6, -1000, -2, -1, -0.5, 0, 0.25, 0.5, 1, 2, 39, 40, 41, 240, 5000, 1e6])
    expected = [one_by_one(x, center, width, function) for x in values]
    assert np.allclose(windowed(values, Window(center, width, function)), expected, atol=1e-9)


@pytest.mark.parametrize("function", Function)
@pytest.mark.parametrize("asked", [True, False])
def test_a_window_counts_after_the_rescale_slope(renderer, function, asked):
    said = ds(0x00281050, "100") + ds(0x00281051, "300")
    lines = ds(0x00281052, "-20") + ds(0x00281053, "2") + element(0x00281056, "CS", function.value.encode())
    instance = native(RAMP, signed=True, after=(b"" if asked else said) + lines)
    view = View(MediaType.PNG, window=Window(100, 300, function)) if asked else PNG
    expected = [[round(one_by_one(x * 2.0 - 20, 100, 300, function)) for x in row] for row in RAMP]
    assert shown(renderer, instance, view).tolist() == expected


def test_of_several_windows_the_first_that_can_be_applied_counts(renderer):
    said = ds(0x00281050, "7\\100\\0") + ds(0x00281051, "0\\300\\1")
    expected = [[round(one_by_one(x, 100, 300, Function.LINEAR)) for x in row] for row in RAMP]
    assert shown(renderer, native(RAMP, signed=True, after=said)).tolist() == expected


def test_without_any_it_reaches_from_the_lowest_to_the_highest(renderer):
    picture = shown(renderer, native(RAMP, signed=True))
    expected = np.rint((RAMP - RAMP.min()) * (255 / (int(RAMP.max()) - int(RAMP.min()))))
    assert (picture == expected).all()


def test_padding_is_no_image(renderer):
    values = np.array([[-2000, 0], [20, 100]], np.int16)
    instance = native(values, signed=True, after=element(0x00280120, "SS", struct.pack("<h", -2000)))
    assert shown(renderer, instance).tolist() == [[0, 0], [51, 255]]


def test_one_value_everywhere_is_a_picture(renderer):
    assert shown(renderer, native(np.full((4, 4), 700, np.uint16))).tolist() == [[0] * 4] * 4


def test_eight_bits_made_for_display_are_shown_as_they_are(renderer):
    values = np.arange(30, 46, dtype=np.uint8).reshape(4, 4)
    assert (shown(renderer, native(values)) == values).all()


def test_monochrome1_is_white_where_nothing_is(renderer):
    values = np.arange(16, dtype=np.uint8).reshape(4, 4) * 17
    assert (shown(renderer, native(values, photometric="MONOCHROME1")) == 255 - values).all()


@pytest.mark.parametrize("tag", [0x00283000, 0x00283010])
def test_a_table_replaces_the_line(renderer, tag):
    """Eight entries of 10 bits from input -4 on; as a modality LUT its output is then stretched."""
    entries = [0, 100, 200, 300, 500, 700, 900, 1023]
    item = element(0x00283002, "SS", struct.pack("<HhH", 8, -4, 10)) + element(
        0x00283006, "OW", struct.pack("<8H", *entries)
    )
    values = np.array([[-9, -4, -3, -2], [-1, 0, 1, 2], [3, 4, 9, -4]], np.int16)
    expected = [[round(entries[min(max(x + 4, 0), 7)] * 255 / 1023) for x in row] for row in values.tolist()]
    assert shown(renderer, native(values, signed=True, after=sequence(tag, [item]))).tolist() == expected


def test_functional_groups_of_the_frame_go_first(renderer):
    frames = np.stack([RAMP, RAMP, RAMP])

    def window(center):
        return sequence(0x00289132, [ds(0x00281050, center) + ds(0x00281051, "200")])

    shared = sequence(0x00289145, [ds(0x00281052, "5") + ds(0x00281053, "1")])
    groups = sequence(0x52009229, [shared + window("0")]) + sequence(
        0x52009230, [window("50"), window("-50"), b""]
    )
    instance = native(frames, signed=True, frames=3, after=groups)
    for number, center in enumerate((50, -50, 0), 1):
        expected = [[round(one_by_one(x + 5, center, 200, Function.LINEAR)) for x in row] for row in RAMP]
        assert shown(renderer, instance, frame=number).tolist() == expected


def test_bits_beside_the_stored_ones_are_no_image(renderer):
    plain = np.arange(64, dtype=np.uint16).reshape(8, 8) * 60
    dirty = (plain | 0xA000).astype(np.uint16)
    assert (shown(renderer, native(dirty, stored=12)) == shown(renderer, native(plain, stored=12))).all()


@pytest.mark.parametrize("width", [1, 12])
def test_cells_that_are_not_whole_bytes(renderer, width):
    """Three frames of 5 by 3, so that frames begin within a byte (PS3.5 8.2)."""
    values = np.random.default_rng(3).integers(0, 1 << width, (3, 5, 3))
    bits = [(int(value) >> place) & 1 for value in values.reshape(-1) for place in range(width)]
    packed = np.packbits(np.array(bits, np.uint8), bitorder="little").tobytes()
    instance = native(values[0].astype(np.uint16), packed=packed, bits=width, frames=3)
    for number in (1, 2, 3):
        frame = values[number - 1]
        low, high = (0, 1) if width == 1 else (frame.min(), frame.max())
        expected = np.rint((frame - low) * (255 / (high - low)))
        assert (shown(renderer, instance, frame=number) == expected).all()


@pytest.mark.parametrize("kind", [np.uint32, np.int32])
def test_whole_numbers_of_32_bits(renderer, kind):
    values = (np.arange(16).reshape(4, 4) * 100_000_000 // 1).astype(np.int64)
    values = (values - (800_000_000 if kind is np.int32 else 0)).astype(kind)
    expected = np.rint((values.astype(float) - float(values.min())) * (255 / (15 * 100_000_000)))
    assert (shown(renderer, native(values, signed=kind is np.int32)) == expected).all()


@pytest.mark.parametrize(("kind", "tag", "vr"), [("<f4", 0x7FE00008, "OF"), ("<f8", 0x7FE00009, "OD")])
def test_floating_point_numbers(renderer, kind, tag, vr):
    values = np.linspace(-3, 7, 16).reshape(4, 4).astype(kind)
    values[0, 0] = np.nan
    instance = native(np.zeros((4, 4), np.uint8), bits=values.dtype.itemsize * 8)
    start = instance.data.index(struct.pack("<HH", 0x7FE0, 0x10))
    instance.data = instance.data[:start] + element(tag, vr, values.tobytes())
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    expected = np.nan_to_num(np.rint((values.astype(float) - low) * (255 / (high - low))))
    assert (shown(renderer, instance) == expected).all()
