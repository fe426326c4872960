"""What a header says of the frames behind it."""

from dataclasses import dataclass, field

from deid.elements import UNDEFINED, Encoding, elements
from dgis.dicomweb.multipart import Buffer
from dgis.transcode.level import ALLOCATED, COLUMNS, FRAMES, ROWS, SAMPLES, Level

_PIXEL_GROUP = 0x0028  # what describes an image (PS3.3 C.7.6.3), and nobody


class NoFramesError(Exception):
    """The instance has no frames that can be had one by one; the text names no content."""


@dataclass(frozen=True, slots=True)
class Image:
    """What a header says of its frames."""

    level: Level = field(repr=False)
    described: bytes = field(repr=False)  # the elements that say it, explicit VR little endian

    @classmethod
    def of(cls, header: Buffer, encoding: Encoding = Encoding.EXPLICIT_LE) -> "Image":
        """Read it from the elements before the pixels; of implicit ones none are `described`."""
        level, kept = Level(), bytearray()
        for each in elements(header, encoding):
            if each.tag >> 16 == _PIXEL_GROUP and each.length != UNDEFINED:
                value = bytes(header[each.value : each.end])
                if level.wants(each.tag, len(value)):
                    level.learn(each.tag, value)
                if each.tag != FRAMES and each.vr != "SQ" and not encoding.implicit:
                    kept += header[each.start : each.end]
        return cls(level, bytes(kept))

    @property
    def count(self) -> int:
        """How many frames there are to be."""
        return max(self.level.number(FRAMES) or 1, 1)

    @property
    def frame_bits(self) -> int:
        """Bits of one native frame."""
        cells = (self.level.number(ROWS) or 0) * (self.level.number(COLUMNS) or 0)
        return cells * (self.level.number(SAMPLES) or 1) * (self.level.number(ALLOCATED) or 0)
