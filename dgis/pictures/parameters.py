"""Query parameters of rendered resources (PS3.18 8.3.5.1) and of the URI service (9.1.2.2) to a view."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from dgis.rendering.view import MOST_PIXELS_A_SIDE, Function, MediaType, Region, View, Window
from dgis.web.problems import Problem

Parameters = Mapping[str, str]

_FUNCTIONS = {
    "linear": Function.LINEAR,
    "linear-exact": Function.LINEAR_EXACT,
    "sigmoid": Function.SIGMOID,
}
_MOST_FRAMES = 1000
_LONGEST_NUMBER = 32
_REFUSED: Final = ("annotation", "presentationuid", "presentationseriesuid")
THUMBNAIL_PIXELS: Final = 200


def once(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return query parameters by name.

    Raises:
        Problem: 400 where one is given twice.
    """
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in found:
            raise _malformed("a parameter is given twice")
        found[name] = value
    return found


def rendered_view(said: Parameters, media_type: MediaType) -> View:
    """Return the view that a rendered resource is asked for; parameters not known are passed over.

    Raises:
        Problem: 400 where a value is none, or what it asks for is not done here.
    """
    _refuse(said)
    view = View(media_type)
    if "quality" in said:
        view = replace(view, quality=_whole("quality", said["quality"], 1, 100))
    if "viewport" in said:
        view = _with_viewport(view, said["viewport"])
    if "window" in said:
        view = replace(view, window=_window(said["window"]))
    return view


def thumbnail_view(said: Parameters, media_type: MediaType) -> View:
    """Return the view of a thumbnail: its size may be asked for, and no more (PS3.18 8.3.5.2).

    Raises:
        Problem: as `rendered_view`.
    """
    view = View(media_type, columns=THUMBNAIL_PIXELS, rows=THUMBNAIL_PIXELS)
    if "viewport" not in said:
        return view
    numbers = said["viewport"].split(",")
    if len(numbers) != 2:  # noqa: PLR2004 - width and height
        raise _malformed("viewport of a thumbnail is width,height")
    columns, rows = (_whole("viewport", each, 1, MOST_PIXELS_A_SIDE) for each in numbers)
    return replace(view, columns=columns, rows=rows)


def uri_view(said: Parameters, media_type: MediaType) -> View:
    """Return the view that a WADO-URI request asks for (PS3.18 9.1.2.2).

    Raises:
        Problem: 400 where a value is none, or what it asks for is not done here.
    """
    _refuse(said)
    view = View(media_type)
    if "imagequality" in said:
        view = replace(view, quality=_whole("imageQuality", said["imagequality"], 1, 100))
    if "rows" in said:
        view = replace(view, rows=_whole("rows", said["rows"], 1, MOST_PIXELS_A_SIDE))
    if "columns" in said:
        view = replace(view, columns=_whole("columns", said["columns"], 1, MOST_PIXELS_A_SIDE))
    if ("windowcenter" in said) != ("windowwidth" in said):
        raise _malformed("windowCenter and windowWidth are given together")
    if "windowcenter" in said:
        center, width = (
            _number("windowCenter", said["windowcenter"]),
            _number("windowWidth", said["windowwidth"]),
        )
        view = replace(view, window=_valid(Window(center, width)))
    return view


def region_of(said: Parameters) -> tuple[float, float, float, float] | None:
    """Return left, top, right and bottom of a WADO-URI region, in parts of the whole image (PS3.18 9.1.2.2).

    Raises:
        Problem: 400 where it is none.
    """
    if "region" not in said:
        return None
    parts = [_number("region", each) for each in said["region"].split(",")[:5]]
    if len(parts) != 4:  # noqa: PLR2004 - two corners
        raise _malformed("region is left,top,right,bottom")
    left, top, right, bottom = parts
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise _malformed("region lies between 0 and 1, the first corner above and left of the second")
    return left, top, right, bottom


def frame_numbers(text: str) -> list[int]:
    """Return a list of frames, counted from 1.

    Raises:
        Problem: 400 where it is none, or longer than any one needs.
    """
    parts = text.split(",")
    if len(parts) > _MOST_FRAMES:
        raise _malformed(f"at most {_MOST_FRAMES} frames at once")
    return [_whole("frames", each, 1, 10**9) for each in parts]


def frame_number(said: Parameters) -> int | None:
    """Return the frame of a WADO-URI request.

    Raises:
        Problem: 400 where it is no number.
    """
    return _whole("frameNumber", said["framenumber"], 1, 10**9) if "framenumber" in said else None


def _refuse(said: Parameters) -> None:
    for name in _REFUSED:
        if name in said:
            raise Problem(400, "not_supported", f"{name} is not supported")
    if said.get("iccprofile", "no") != "no":
        raise Problem(400, "not_supported", "iccprofile: no profile is given")


def _with_viewport(view: View, text: str) -> View:
    """PS3.18 8.3.5.1.3: vw,vh[,[sx],[sy],[sw],[sh]]; a negative width or height mirrors."""
    parts = text.split(",")
    if len(parts) not in {2, 6}:
        raise _malformed("viewport is width,height or width,height,left,top,width,height of the source")
    columns, rows = (_whole("viewport", each, 1, MOST_PIXELS_A_SIDE) for each in parts[:2])
    view = replace(view, columns=columns, rows=rows)
    if len(parts) == 2:  # noqa: PLR2004
        return view
    left, top, width, height = (_number("viewport", each) if each else None for each in parts[2:])
    if 0 in {width, height}:
        raise _malformed("viewport: a region without pixels")
    return replace(
        view,
        region=Region(
            abs(left or 0.0),
            abs(top or 0.0),
            None if width is None else abs(width),
            None if height is None else abs(height),
        ),
        flip_across=width is not None and width < 0,
        flip_down=height is not None and height < 0,
    )


def _window(text: str) -> Window:
    parts = text.split(",")
    if len(parts) != 3 or parts[2].strip().lower() not in _FUNCTIONS:  # noqa: PLR2004
        raise _malformed("window is center,width,function; function linear, linear-exact or sigmoid")
    function = _FUNCTIONS[parts[2].strip().lower()]
    return _valid(Window(_number("window", parts[0]), _number("window", parts[1]), function))


def _valid(window: Window) -> Window:
    if not window.valid:
        raise _malformed("the width of a window is above 0, of a linear one 1 at least")
    return window


def _whole(name: str, text: str, least: int, most: int) -> int:
    text = text.strip()
    if text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER and least <= int(text) <= most:
        return int(text)
    raise _malformed(f"{name}: a whole number from {least} to {most}")


def _number(name: str, text: str) -> float:
    try:
        value = float(text) if len(text) <= _LONGEST_NUMBER else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise _malformed(f"{name}: a number")
    return value


def _malformed(words: str) -> Problem:
    return Problem(400, "malformed", words)
