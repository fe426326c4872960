"""Which transfer syntaxes can be turned into which (DICOM PS3.5 Annex A and section 10, PS3.6 Table A-1)."""

from enum import Enum

from deid.elements import Encoding

IMPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
DEFLATED_LITTLE_ENDIAN = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG_ENDIAN = "1.2.840.10008.1.2.2"

# The best first: implicit loses the VRs. Big endian is retired, deflated a choice for archives.
TARGETS = {EXPLICIT_LITTLE_ENDIAN: Encoding.EXPLICIT_LE, IMPLICIT_LITTLE_ENDIAN: Encoding.IMPLICIT_LE}

NATIVE = frozenset(
    {IMPLICIT_LITTLE_ENDIAN, EXPLICIT_LITTLE_ENDIAN, DEFLATED_LITTLE_ENDIAN, EXPLICIT_BIG_ENDIAN}
)


class Codec(Enum):
    """How the frames of an encapsulated transfer syntax are compressed."""

    RLE = "rle"  # PS3.5 Annex G
    DEFLATE = "deflate"  # PS3.5 A.4.12: each frame is one raw deflate stream
    JPEG = "jpeg"  # ITU-T T.81, all its processes
    JPEG_LS = "jpeg-ls"  # ITU-T T.87
    JPEG_2000 = "jpeg-2000"  # ITU-T T.800
    HTJ2K = "htj2k"  # ITU-T T.814

    @property
    def one_fragment(self) -> bool:
        """Whether a frame is always exactly one fragment (PS3.5 A.4.2, A.4.12)."""
        return self in {Codec.RLE, Codec.DEFLATE}


# Not here, and so never converted: video (MPEG, HEVC, SMPTE), where a frame is no stream of its own; JPIP,
# where the pixels are elsewhere; JPEG 2000 part 2, whose components may be a transform over many frames;
# JPEG XL; and whatever is private or not known to us.
CODECS = {
    "1.2.840.10008.1.2.5": Codec.RLE,
    "1.2.840.10008.1.2.8.1": Codec.DEFLATE,
    "1.2.840.10008.1.2.4.50": Codec.JPEG,  # baseline, 8 bits
    "1.2.840.10008.1.2.4.51": Codec.JPEG,  # extended, 8 and 12 bits
    "1.2.840.10008.1.2.4.53": Codec.JPEG,  # spectral selection (retired)
    "1.2.840.10008.1.2.4.55": Codec.JPEG,  # full progression (retired)
    "1.2.840.10008.1.2.4.57": Codec.JPEG,  # lossless, any predictor
    "1.2.840.10008.1.2.4.70": Codec.JPEG,  # lossless, first predictor
    "1.2.840.10008.1.2.4.80": Codec.JPEG_LS,  # lossless
    "1.2.840.10008.1.2.4.81": Codec.JPEG_LS,  # near-lossless
    "1.2.840.10008.1.2.4.90": Codec.JPEG_2000,  # lossless
    "1.2.840.10008.1.2.4.91": Codec.JPEG_2000,
    "1.2.840.10008.1.2.4.201": Codec.HTJ2K,  # lossless
    "1.2.840.10008.1.2.4.202": Codec.HTJ2K,  # lossless, RPCL
    "1.2.840.10008.1.2.4.203": Codec.HTJ2K,
}


def targets_of(transfer_syntax: str) -> tuple[str, ...]:
    """Return what a transfer syntax can be turned into, the best first; itself is never among it."""
    if transfer_syntax not in NATIVE and transfer_syntax not in CODECS:
        return ()
    return tuple(target for target in TARGETS if target != transfer_syntax)
