from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What one conversion may cost; beyond it the instance is not converted.

    The defaults take every image that scanners make today: a breast tomosynthesis volume, a whole slide
    level, a CT of 1,000 frames.
    """

    header_bytes: int = 256 << 20  # all elements but the pixels, where these are decoded or inflated
    codestream_bytes: int = 256 << 20  # of one compressed frame: it is held by the door
    frame_bytes: int = 512 << 20  # of one decoded frame: it is held by the decoder only
    held_bytes: int = 32 << 20  # of a converted data set in memory; the rest waits on disk, or streams
    inflated_bytes: int = 1 << 30  # of a deflated data set; its pixels only as far as it describes an image
    frame_seconds: float = 30.0  # wall and processor time of one frame
    instance_seconds: float = 300.0  # from the first to the last frame, waiting for a decoder included
    decoder_memory_bytes: int = 2 << 30  # address space of a decoder
