import threading
import time
from dataclasses import dataclass, field

from dgis.rendering.attributes import Attributes
from dgis.rendering.described import layout_of
from dgis.rendering.errors import NoPictureError
from dgis.rendering.frames import Instance, read_frame
from dgis.rendering.view import Request, View
from dgis.transcode.limits import Limits
from dgis.transcode.pool import Pool

_HEADER_BYTES = 32 << 20
_FRAME_BYTES = 192 << 20
_PICTURE_BYTES = 256 << 20
_MODULE = "dgis.rendering.child"

# A person waits for a picture: it is given up sooner than a conversion. The door holds a frame as it lies.
LIMITS = Limits(
    header_bytes=_HEADER_BYTES,
    codestream_bytes=_HEADER_BYTES + _FRAME_BYTES,
    frame_bytes=_FRAME_BYTES,
    frame_seconds=20.0,
    instance_seconds=60.0,
)


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded picture, and how many frames the instance has that it is of."""

    data: bytes = field(repr=False)
    frames: int


class Renderer:
    """Makes pictures of frames in child processes; any thread may ask.

    Args:
        limits: what one picture may cost.
        most: child processes at once; one a processor where that is None.
    """

    def __init__(self, limits: Limits = LIMITS, most: int | None = None) -> None:
        self._limits = limits
        self._pool = Pool(limits, most, _MODULE)
        self._reading = threading.BoundedSemaphore(2 * self._pool.most)  # frames held in this process

    def render(self, instance: Instance, frame: int, view: View) -> Picture:
        """Return a frame of an instance, counted from 1, as a picture.

        Raises:
            NoFrameError: it has none of that number.
            dgis.transcode.errors.TranscodeError: it cannot be shown; in words that name no content.
            deid.elements.WalkError: its bytes are no well-formed data set.
            Exception: whatever opening it raises.
        """
        deadline_s = time.monotonic() + self._limits.instance_seconds
        if not self._reading.acquire(timeout=self._limits.instance_seconds):
            raise NoPictureError("too many pictures are asked for")
        try:
            found = read_frame(instance, frame, self._limits)
            request = Request(view, frame, len(found.header), found.codec, found.first_bit)
            with self._pool.lend(deadline_s) as renderer:
                stream = found.header + found.payload
                answer = renderer.ask(request.to_json(), stream, deadline_s, _fits)
                return Picture(b"".join(answer), found.of)
        finally:
            self._reading.release()

    def size(self, instance: Instance) -> tuple[int, int]:
        """Return rows and columns of the image in an instance.

        Raises:
            NoFrameError: it holds none.
            Exception: as `render`.
        """
        layout = layout_of(Attributes(read_frame(instance, 1, self._limits).header))
        return layout.rows, layout.columns

    def close(self) -> None:
        """End the child processes that are idle; nothing is rendered afterwards."""
        self._pool.close()


def _fits(size: int) -> bool:
    return 0 < size <= _PICTURE_BYTES
