"""Native pixels for what is to be blanked: decoded by the child processes of `dgis.transcode`."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from deid.cleaned import NotDecoded
from deid.elements import Buffer, WalkError
from dgis.spooled import spooled
from dgis.transcode.errors import TranscodeError
from dgis.transcode.syntaxes import EXPLICIT_LITTLE_ENDIAN
from dgis.transcode.transcoder import GatewayTranscoder


@dataclass(frozen=True, slots=True)
class _Given:
    """A data set at hand, as the transcoder takes it."""

    data: Buffer = field(repr=False)
    transfer_syntax: str
    sop_class_uid: str = ""
    sop_instance_uid: str = field(default="", repr=False)

    @property
    def length(self) -> int:
        """Bytes of the data set."""
        return len(self.data)

    def open(self) -> Iterator[memoryview]:
        """Yield it."""
        yield memoryview(self.data)


class SpooledDecoder:
    """Decodes data sets into files without names, so that a huge image costs no memory."""

    def __init__(self, transcoder: GatewayTranscoder, folder: Path | None) -> None:
        self._transcoder = transcoder
        self._folder = folder

    def __call__(self, dataset: Buffer, transfer_syntax: str) -> Buffer:
        """Return the data set with native pixels, explicit VR little endian.

        Raises:
            NotDecoded: they cannot be had; in words that name no content.
        """
        given = _Given(dataset, transfer_syntax)
        try:
            return spooled(self._transcoder.convert(given, EXPLICIT_LITTLE_ENDIAN), self._folder)
        except (TranscodeError, WalkError) as error:
            raise NotDecoded(str(error)) from None
