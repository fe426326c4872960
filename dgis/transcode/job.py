import json
from dataclasses import asdict, dataclass
from typing import Self

from dgis.transcode.syntaxes import Codec

_BITS_IN_BYTE = 8
_CELLS = (8, 16, 32, 64)


@dataclass(frozen=True, slots=True)
class Job:
    """What a decoder is told of one frame, and what it must find in it.

    `bits_allocated` is of the native pixel cell to be written: 1, 8, 16, 32 or 64.
    """

    codec: Codec
    rows: int
    columns: int
    samples: int
    bits_allocated: int
    bits_stored: int
    signed: bool
    photometric: str

    @property
    def frame_bits(self) -> int:
        """Bits of the native frame."""
        return self.rows * self.columns * self.samples * self.bits_allocated

    @property
    def frame_bytes(self) -> int:
        """Bytes of the native frame, its last one filled up."""
        return (self.frame_bits + _BITS_IN_BYTE - 1) // _BITS_IN_BYTE

    @property
    def photometric_after(self) -> str:
        """The photometric interpretation of the decoded frame (PS3.3 C.7.6.3.1.2).

        The colour transforms of JPEG 2000 are undone by its decoder; subsampled chroma is brought to full
        size by a JPEG decoder, which then gives RGB; by the lossless ones it never was subsampled.
        """
        if self.photometric in {"YBR_RCT", "YBR_ICT"}:
            return "RGB"
        if self.photometric in {"YBR_FULL_422", "YBR_PARTIAL_422", "YBR_PARTIAL_420"}:
            return "RGB" if self.codec is Codec.JPEG else "YBR_FULL"
        return self.photometric

    def to_json(self) -> bytes:
        """Write it for the decoder."""
        return json.dumps(asdict(self) | {"codec": self.codec.value}).encode()

    @classmethod
    def from_json(cls, raw: bytes) -> Self:
        """Read it in the decoder."""
        fields = json.loads(raw)
        return cls(**fields | {"codec": Codec(fields["codec"])})


def native_cell(bits_allocated: int) -> int | None:
    """Return the bits of the native pixel cell that holds cells of `bits_allocated`; None: there is none."""
    if bits_allocated == 1:
        return 1
    return next((cell for cell in _CELLS if cell >= bits_allocated > 0), None)
