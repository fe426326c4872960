"""What a reviewer sees: every kind of native pixels as a picture in which text can be read."""

import os
import stat

import imagecodecs
import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate

from deid.cleaned import NotDecoded
from deid.splice import split
from dgis.decoding import SpooledDecoder
from dgis.demo.phantoms import encode
from dgis.review.picture import NoPictureError, picture
from dgis.review.show import png, write_private
from tests.tools import burned_in, wire

ROWS, COLUMNS = 6, 8


def described(cells, *, photometric="MONOCHROME2", stored=None, signed=0, samples=1, planar=0, frames=1):
    found = Dataset()
    found.SamplesPerPixel, found.PhotometricInterpretation = samples, photometric
    if samples > 1:
        found.PlanarConfiguration = planar
    found.NumberOfFrames, found.Rows, found.Columns = frames, ROWS, COLUMNS
    bits = cells.dtype.itemsize * 8
    found.BitsAllocated, found.BitsStored = bits, stored or bits
    found.HighBit, found.PixelRepresentation = found.BitsStored - 1, signed
    found.add_new("PixelData", "OB" if bits == 8 else "OW", cells.tobytes())
    return found


def seen(dataset, frame=1):
    data = encode(dataset)
    return picture(data, split(data, wire.EXPLICIT), frame)


def noise(*shape, dtype=np.uint8, high=200):
    return np.random.default_rng(2).integers(0, high, shape).astype(dtype)


def test_grey_levels_are_stretched_and_none_is_lost():
    cells = noise(ROWS, COLUMNS, dtype=np.uint16, high=50) + 1000
    image = seen(described(cells, stored=12))
    assert image.dtype == np.uint16
    assert (image.min(), image.max()) == (0, 0xFFFF)
    assert np.unique(image).size == np.unique(cells).size
    assert np.array_equal(
        np.argsort(image, axis=None, kind="stable"), np.argsort(cells, axis=None, kind="stable")
    )


def test_the_inverse_of_grey_and_a_sign_and_bits_beside_the_stored_ones_are_minded():
    cells = noise(ROWS, COLUMNS)
    assert np.array_equal(seen(described(cells, photometric="MONOCHROME1")), 255 - seen(described(cells)))
    signed = np.arange(ROWS * COLUMNS, dtype=np.int16).reshape(ROWS, COLUMNS) - 20
    plain = seen(described(signed, signed=1))
    overlaid = (signed.view(np.uint16) & 0x0FFF | 0x8000).view(np.int16)
    assert np.array_equal(seen(described(overlaid, signed=1, stored=12)), plain)


def test_a_flat_image_is_shown_flat():
    assert not seen(described(np.full((ROWS, COLUMNS), 7, np.uint8))).any()


@pytest.mark.parametrize("planar", [0, 1])
def test_colours_are_shown_as_they_are(planar):
    cells = noise(ROWS, COLUMNS, 3)
    laid = np.ascontiguousarray(cells.transpose(2, 0, 1)) if planar else cells
    assert np.array_equal(seen(described(laid, photometric="RGB", samples=3, planar=planar)), cells)


def test_luminance_and_chroma_become_colours():
    red = np.tile(np.array([76, 85, 255], np.uint8), (ROWS, COLUMNS, 1))
    image = seen(described(red, photometric="YBR_FULL", samples=3))
    assert np.abs(image.astype(int) - [254, 0, 0]).max() <= 2
    pairs = np.tile(np.array([76, 76, 85, 255], np.uint8), (ROWS, COLUMNS // 2, 1))
    assert np.array_equal(seen(described(pairs, photometric="YBR_FULL_422", samples=3)), image)
    white = np.tile(np.array([235, 128, 128], np.uint8), (ROWS, COLUMNS, 1))
    assert (seen(described(white, photometric="YBR_PARTIAL_422", samples=3)) == 255).all()


@pytest.mark.parametrize("wide", [True, False])
def test_indices_are_looked_up_in_their_palettes(wide):
    cells = noise(ROWS, COLUMNS, high=10)
    found = described(cells, photometric="PALETTE COLOR")
    for number, colour in enumerate(("Red", "Green", "Blue")):
        entries = np.arange(10) * (number + 1)
        setattr(found, f"{colour}PaletteColorLookupTableDescriptor", [10, 0, 16 if wide else 8])
        data = (entries << 8).astype("<u2") if wide else entries.astype("u1")
        found.add_new(f"{colour}PaletteColorLookupTableData", "OW", data.tobytes())
    assert np.array_equal(seen(found), np.stack([cells, cells * 2, cells * 3], axis=-1))


def test_a_palette_that_is_missing_is_no_reason_to_guess():
    with pytest.raises(NoPictureError, match="palette"):
        seen(described(noise(ROWS, COLUMNS), photometric="PALETTE COLOR"))


def test_images_of_one_bit_are_black_and_white():
    bits = noise(2, ROWS, COLUMNS, high=2)
    found = described(np.packbits(bits, bitorder="little"), frames=2)
    found.BitsAllocated = found.BitsStored = 1
    found.HighBit = 0
    assert np.array_equal(seen(found, 2), bits[1] * 255)


def test_the_frame_that_is_asked_for_is_shown_and_no_other():
    cells = noise(3, ROWS, COLUMNS)
    found = described(cells, frames=3)
    assert np.array_equal(seen(found, 3), seen(described(cells[2])))
    for frame in (0, 4):
        with pytest.raises(NoPictureError, match="3 frames"):
            seen(found, frame)


def test_what_cannot_be_shown_is_said():
    with pytest.raises(NoPictureError, match="no pixels"):
        seen(Dataset())
    with pytest.raises(NoPictureError, match="samples of 16 bits"):
        seen(described(noise(ROWS, COLUMNS, 3, dtype=np.uint16), photometric="RGB", samples=3))


def test_compressed_frames_are_decoded_by_the_child_process(transcoder):
    image = burned_in.instance(frames=2, samples=3, jpeg=True)
    coded = png(image.dataset, image.transfer_syntax, 2, SpooledDecoder(transcoder, None))
    shown = imagecodecs.png_decode(coded)
    assert np.abs(shown.astype(int) - image.pixels[1]).mean() < 40
    assert coded.startswith(b"\x89PNG")


def test_what_nobody_decodes_is_not_shown(transcoder):
    found = described(noise(ROWS, COLUMNS))
    found.PixelData = encapsulate([b"no picture at all."])
    found["PixelData"].is_undefined_length = True
    with pytest.raises(NotDecoded):
        png(encode(found), "1.2.840.10008.1.2.4.102", 1, SpooledDecoder(transcoder, None))


def test_the_file_is_its_owners_alone_and_replaced_whole(tmp_path):
    path = tmp_path / "shown.png"
    path.write_bytes(b"before")
    path.chmod(0o644)
    before = os.umask(0)
    try:
        write_private(path, b"after")
    finally:
        os.umask(before)
    assert path.read_bytes() == b"after"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["shown.png"]
