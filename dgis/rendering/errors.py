from dgis.transcode.errors import TranscodeError


class NoPictureError(TranscodeError):
    """Pixels that cannot be shown; the words name numbers of the image description only."""


class NoFrameError(NoPictureError):
    """An instance that has no frame of that number, or no pixels at all."""
