import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from deid.deflate import is_deflated
from deid.elements import Buffer, Encoding, detect_encoding, encoding_of
from dgis.dimse.services import Outgoing
from dgis.transcode.dataset import Rewriter
from dgis.transcode.errors import TranscodeError
from dgis.transcode.job import Job
from dgis.transcode.limits import Limits
from dgis.transcode.pixels import NativePixels
from dgis.transcode.pool import Pool
from dgis.transcode.source import Bound, Source, inflated
from dgis.transcode.spool import held_back, joined, spool
from dgis.transcode.syntaxes import CODECS, TARGETS, Codec, targets_of

_FIRST_BYTES = 8


class GatewayTranscoder:
    """Turns instances into native little endian ones; identifiers stay, and so does every other element.

    Any thread may convert. What is compressed is decoded in child processes, which start when they are
    first needed and end with this process.

    Args:
        limits: what one conversion may cost.
        folder: for native frames that wait for the last one, in files without a name; the system's
            temporary folder where that is None.
        decoders: child processes at once; one a processor where that is None.
    """

    def __init__(
        self, limits: Limits | None = None, folder: Path | None = None, decoders: int | None = None
    ) -> None:
        self._limits = limits or Limits()
        self._folder = folder
        self._pool = Pool(self._limits, decoders)

    def targets(self, sop_class_uid: str, transfer_syntax: str) -> Sequence[str]:  # noqa: ARG002 - the door's port
        """List what instances of a transfer syntax can be turned into, the best first."""
        return targets_of(transfer_syntax)

    def convert(self, instance: Outgoing, target: str) -> Iterator[bytes]:
        """Yield the data set in the transfer syntax `target`.

        The first piece comes when all frames are decoded; of native instances, when the whole or
        `Limits.held_bytes` of it were read without a fault.

        Raises:
            TranscodeError: this instance cannot be had in that transfer syntax.
            deid.elements.WalkError: its bytes are no well-formed data set.
            Exception: whatever opening it raises.
        """
        syntax = instance.transfer_syntax
        if target not in targets_of(syntax):
            raise TranscodeError("no such conversion")
        pieces: Iterable[Buffer] = instance.open()
        length = instance.length
        bound = None
        if is_deflated(syntax):
            bound = Bound(self._limits.header_bytes, self._limits.inflated_bytes)
            pieces, length = inflated(pieces, bound), None
        source = Source(pieces, length, bound)
        encoding = detect_encoding(source.peek(_FIRST_BYTES), encoding_of(syntax))
        codec = CODECS.get(syntax)
        if codec is None:
            written = Rewriter(source, encoding, TARGETS[target]).pieces()
        else:
            written = self._decoded(source, encoding, TARGETS[target], codec)
        yield from held_back(joined(written), self._limits.held_bytes)

    def close(self) -> None:
        """End the child processes that are idle; nothing is decoded afterwards."""
        self._pool.close()

    def _decoded(
        self, source: Source, encoding: Encoding, target: Encoding, codec: Codec
    ) -> Iterator[Buffer]:
        deadline_s = time.monotonic() + self._limits.instance_seconds

        def decode(job: Job, stream: bytes) -> Iterator[bytes]:
            with self._pool.lend(deadline_s) as decoder:
                yield from decoder.decode(job, stream, deadline_s)

        pixels = NativePixels(
            codec, target, self._limits, decode, lambda: spool(self._limits.held_bytes, self._folder)
        )
        yield from Rewriter(source, encoding, target, pixels.assemble, pixels.element).pieces()
