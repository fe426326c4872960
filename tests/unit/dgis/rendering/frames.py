"""Small images to render, and pictures read back."""

from dataclasses import replace

import imagecodecs
import numpy as np

from deid.encode import element
from dgis.rendering.renderer import LIMITS
from dgis.rendering.view import MediaType, View
from tests.tools.transcoding import Lying
from tests.unit.dgis.transcode.images import EXPLICIT, description

PNG = View(MediaType.PNG)
# However busy the machine: what takes too long is for another test.
PATIENT = replace(LIMITS, frame_seconds=240.0, instance_seconds=600.0)


def native(values, *, before=b"", after=b"", packed=None, **described):
    """An instance of native pixels; `before` are elements of groups below 0028,0002, `after` those behind."""
    shape = values.shape if values.ndim == 2 or values.shape[-1] == 3 else values.shape[1:]
    bits = described.pop("bits", values.dtype.itemsize * 8)
    head = element(0x00080018, "UI", b"2.25.7") + before
    data = values.tobytes() if packed is None else packed
    said = description(shape, bits=bits, **described)
    return Lying(EXPLICIT, head + said + after + element(0x7FE00010, "OW" if bits > 8 else "OB", data))


def shown(renderer, instance, view=PNG, frame=1):
    """The picture as numbers."""
    return np.asarray(imagecodecs.png_decode(renderer.render(instance, frame, view).data))


def ds(tag, text):
    return element(tag, "DS", text.encode())
