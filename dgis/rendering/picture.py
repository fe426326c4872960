"""A frame as a picture: the stages in their order (PS3.4 N.2); pure, and run in the child process only."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dgis.rendering.attributes import Attributes
from dgis.rendering.cells import float_values, stored_values
from dgis.rendering.colour import from_palette, from_samples
from dgis.rendering.described import Layout, aspect_of, grey_of, layout_of, palette_of
from dgis.rendering.errors import NoPictureError
from dgis.rendering.grey import picture_of
from dgis.rendering.scale import framed
from dgis.rendering.view import Request
from dgis.transcode import codecs
from dgis.transcode.job import Job, native_cell
from dgis.transcode.syntaxes import Codec

FLOATS = "float"  # as a codec: native pixels that are floating point numbers
_GREY = frozenset({"MONOCHROME1", "MONOCHROME2", ""})


def render(request: Request, header: bytes, payload: bytes) -> NDArray[np.uint8]:
    """Return the picture, shape (rows, columns) grey or (rows, columns, 3) RGB.

    Raises:
        NoPictureError: the frame cannot be shown.
        Exception: whatever a decoder raises.
    """
    attributes = Attributes(header)
    layout = layout_of(attributes)
    first_bit = request.first_bit
    if request.codec not in {None, FLOATS}:
        payload, layout = _decoded(Codec(request.codec), layout, payload)
        first_bit = 0
    if request.codec == FLOATS:
        values = float_values(payload, layout)
    else:
        values = stored_values(payload, layout, first_bit)
    if layout.samples == 1 and layout.photometric in _GREY:
        grey = grey_of(attributes, request.frame, layout)
        picture = picture_of(values, grey, layout, request.view.window)
    elif layout.samples == 1 and layout.photometric == "PALETTE COLOR":
        picture = from_palette(values, palette_of(attributes, layout))
    else:
        if layout.samples == 1:
            raise NoPictureError("a photometric interpretation that is not known")
        picture = from_samples(values, layout.bits_stored, layout.photometric)
    return framed(picture, request.view, aspect_of(attributes, request.frame))


def _decoded(codec: Codec, layout: Layout, stream: bytes) -> tuple[bytes, Layout]:
    cell = native_cell(layout.bits_allocated)
    if cell is None or (cell == 1 and layout.samples != 1):
        raise NoPictureError(f"cells of {layout.bits_allocated} bits")
    job = Job(
        codec=codec,
        rows=layout.rows,
        columns=layout.columns,
        samples=layout.samples,
        bits_allocated=cell,
        bits_stored=layout.bits_stored,
        signed=layout.signed,
        photometric=layout.photometric,
    )
    native = replace(layout, bits_allocated=cell, planar=False, photometric=job.photometric_after)
    return codecs.decode(job, stream), native
