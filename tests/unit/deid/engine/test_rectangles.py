import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deid.rectangles import Rectangle, outside

ROWS, COLUMNS = 12, 17

rectangles = st.builds(
    Rectangle, st.integers(0, 20), st.integers(0, 20), st.integers(1, 20), st.integers(1, 20)
)


def painted(found):
    counts = np.zeros((ROWS, COLUMNS), int)
    for each in found:
        counts[each.y : each.y + each.height, each.x : each.x + each.width] += 1
    return counts


def test_a_rectangle_is_read_and_written_alike():
    assert str(Rectangle.parse("0,12,800x32")) == "0,12,800x32"
    assert Rectangle.parse("0,12,800x32") == Rectangle(0, 12, 800, 32)


@pytest.mark.parametrize(
    "text", ["", "1,2", "1,2,3", "1,2,0x3", "1,2,3x0", "-1,2,3x4", "1 ,2,3x4", "1,2,3X4"]
)
def test_what_is_no_rectangle_is_refused(text):
    with pytest.raises(ValueError, match="rectangle"):
        Rectangle.parse(text)


def test_a_rectangle_that_begins_before_the_image_is_refused():
    with pytest.raises(ValueError, match="begins at 0,0"):
        Rectangle(-1, 0, 5, 5)


def test_a_rectangle_is_clipped_to_the_image():
    assert Rectangle(10, 5, 100, 2).clipped(6, 12) == Rectangle(10, 5, 2, 1)
    assert Rectangle(12, 0, 1, 1).clipped(6, 12) is None
    assert Rectangle(0, 6, 1, 1).clipped(6, 12) is None


@given(st.lists(rectangles, max_size=5))
def test_outside_is_every_pixel_of_no_region_once(regions):
    inside = painted(regions) > 0
    assert np.array_equal(painted(outside(regions, ROWS, COLUMNS)), ~inside)
