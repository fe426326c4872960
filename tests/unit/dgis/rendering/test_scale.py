import numpy as np
import pytest

from dgis.rendering.errors import NoPictureError
from dgis.rendering.scale import framed, size_of
from dgis.rendering.view import Region, View

PICTURE = np.random.default_rng(1).integers(0, 256, (12, 18)).astype(np.uint8)


@pytest.mark.parametrize(
    ("aspect", "columns", "rows", "expected"),
    [
        (1.0, None, None, (12, 18)),
        (1.0, 9, 100, (6, 9)),
        (1.0, 100, 24, (24, 36)),
        (1.0, 36, None, (24, 36)),
        (1.0, None, 6, (6, 9)),
        (2.0, None, None, (24, 18)),
        (0.5, None, None, (12, 36)),
        (1.0, 1, 1, (1, 1)),
        (10.0, 8000, 8000, (8000, 1200)),
        (1.0, 100_000, 100_000, (5461, 8192)),
    ],
)
def test_as_large_as_fits_and_never_distorted(aspect, columns, rows, expected):
    assert size_of(12, 18, aspect, View(columns=columns, rows=rows)) == expected


def test_a_region_is_cut_before_it_is_scaled():
    view = View(region=Region(3, 2, 6, 4))
    assert (framed(PICTURE, view, 1.0) == PICTURE[2:6, 3:9]).all()
    twice = framed(PICTURE, View(columns=12, rows=8, region=Region(3, 2, 6, 4)), 1.0)
    assert twice.shape == (8, 12)


def test_a_region_ends_where_the_image_ends():
    assert (framed(PICTURE, View(region=Region(15, 10, 50, 50)), 1.0) == PICTURE[10:, 15:]).all()


@pytest.mark.parametrize("region", [Region(18, 0), Region(0, 12), Region(2, 2, 0, 5), Region(-5, 0, 5, 5)])
def test_a_region_without_pixels_is_no_picture(region):
    with pytest.raises(NoPictureError):
        framed(PICTURE, View(region=region), 1.0)


def test_mirrors():
    assert (framed(PICTURE, View(flip_across=True), 1.0) == PICTURE[:, ::-1]).all()
    assert (framed(PICTURE, View(flip_down=True), 1.0) == PICTURE[::-1]).all()


def test_what_shrinks_is_the_mean_of_what_it_covers():
    picture = framed(PICTURE, View(columns=6, rows=4), 1.0)
    expected = PICTURE.astype(float).reshape(4, 3, 6, 3).mean(axis=(1, 3))
    assert np.abs(picture - expected).max() <= 1.0


def test_a_line_lies_between_what_grows():
    row = np.array([[0, 100]], np.uint8)
    assert framed(row, View(columns=4, rows=4), 1.0)[0].tolist() == [0, 25, 75, 100]


@pytest.mark.parametrize("size", [1, 5, 11, 13, 29])
def test_even_grey_stays_even_at_any_size(size):
    even = np.full((12, 18, 3), 77, np.uint8)
    assert set(framed(even, View(columns=size, rows=size), 1.3).ravel().tolist()) == {77}
