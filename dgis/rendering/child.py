"""The process that renders: `python -m dgis.rendering.child`, confined as `dgis.transcode.child` is."""

from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from dgis.rendering.picture import render
from dgis.rendering.view import MediaType, Request
from dgis.transcode import child

_jpeg_encode: Callable[..., bytes | bytearray] = imagecodecs.jpeg8_encode
_png_encode: Callable[..., bytes | bytearray] = imagecodecs.png_encode
_PNG_EFFORT = 3  # of 9: beyond it pictures get little smaller and much slower


def work(request: bytes, stream: bytes) -> bytes:
    """Return one encoded picture; `stream` is the header and then the payload of the frame."""
    asked = Request.from_json(request)
    picture = render(asked, stream[: asked.header_bytes], stream[asked.header_bytes :])
    return encoded(picture, asked.view.media_type, asked.view.quality)


def encoded(picture: NDArray[Any], media_type: MediaType, quality: int) -> bytes:
    """Encode a picture of 8 bits."""
    picture = np.ascontiguousarray(picture)
    if media_type is MediaType.PNG:
        return bytes(_png_encode(picture, level=_PNG_EFFORT))
    return bytes(_jpeg_encode(picture, level=quality))


if __name__ == "__main__":
    child.main(work)
