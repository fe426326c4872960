"""What is asked of a picture: its size, the region shown, the window, and how it is encoded."""

import json
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any, Self

MOST_PIXELS_A_SIDE = 8192
_USUAL_QUALITY = 90


class MediaType(Enum):
    """How pictures are encoded (PS3.18 8.7.4: single frame images)."""

    JPEG = "image/jpeg"
    PNG = "image/png"


class Function(Enum):
    """VOI LUT Function (PS3.3 C.11.2.1.2, C.11.2.1.3)."""

    LINEAR = "LINEAR"
    LINEAR_EXACT = "LINEAR_EXACT"
    SIGMOID = "SIGMOID"


@dataclass(frozen=True, slots=True)
class Window:
    """Centre and width in units of the modality LUT's output."""

    center: float
    width: float
    function: Function = Function.LINEAR

    @property
    def valid(self) -> bool:
        """Whether the function is defined for the width (PS3.3 C.11.2.1.2.1: linear needs 1 at least)."""
        return self.width >= 1 if self.function is Function.LINEAR else self.width > 0


@dataclass(frozen=True, slots=True)
class Region:
    """A part of the source image in its own pixels, from the top left; beyond the image there is nothing.

    `width` and `height` None: to the edge.
    """

    left: float = 0.0
    top: float = 0.0
    width: float | None = None
    height: float | None = None


@dataclass(frozen=True, slots=True)
class View:
    """One way to show a frame.

    `columns` and `rows` bound the picture, which keeps its aspect and becomes as large as fits (PS3.18
    8.3.5.1.3); None: as large as the source. `window` None: what the image says of itself.
    """

    media_type: MediaType = MediaType.JPEG
    quality: int = _USUAL_QUALITY
    columns: int | None = None
    rows: int | None = None
    region: Region = Region()
    flip_across: bool = False
    flip_down: bool = False
    window: Window | None = None

    def to_json(self) -> dict[str, Any]:
        """Write it for the process that renders."""
        fields = asdict(self) | {"media_type": self.media_type.value}
        if self.window is not None:
            fields["window"]["function"] = self.window.function.value
        return fields

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        """Read it in the process that renders."""
        window = fields["window"]
        if window is not None:
            window = Window(window["center"], window["width"], Function(window["function"]))
        read = {
            "media_type": MediaType(fields["media_type"]),
            "region": Region(**fields["region"]),
            "window": window,
        }
        return cls(**fields | read)


@dataclass(frozen=True, slots=True)
class Request:
    """What the process that renders is told beside the header and the payload of a frame.

    `codec` is the name of a `Codec`, None for native pixels, which begin `first_bit` bits into the payload.
    """

    view: View
    frame: int  # from 1
    header_bytes: int  # how much of what follows is the header
    codec: str | None
    first_bit: int = 0

    def to_json(self) -> bytes:
        """Write it."""
        fields = {name: getattr(self, name) for name in ("frame", "header_bytes", "codec", "first_bit")}
        return json.dumps(fields | {"view": self.view.to_json()}).encode()

    @classmethod
    def from_json(cls, raw: bytes) -> Self:
        """Read it."""
        fields = json.loads(raw)
        return cls(**fields | {"view": View.from_json(fields["view"])})
