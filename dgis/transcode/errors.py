class TranscodeError(Exception):
    """An instance cannot be had in another transfer syntax; the words name sizes and reasons, no content."""


class DamagedPixelsError(TranscodeError):
    """A codestream that is damaged, or that contradicts the header around it."""


class DecoderFailedError(TranscodeError):
    """The process that decodes overran its limits or died of what it was given."""
