class RecordError(ValueError):
    """What goes wrong with records; the text speaks of positions and lengths, never of content."""


class DamagedRecordError(RecordError):
    """The bytes are not what a writer wrote: another copy may be whole."""


class UnsupportedRecordError(RecordError):
    """A record of a later version: this build is too old for it, the copy may well be whole."""


class RecordRefusedError(RecordError):
    """What was to be packed has no place in a record: the caller must seal it whole instead.

    Attributes:
        instance: which of those that were given, so that the others can be packed without it; None where it
            is none in particular.
    """

    def __init__(self, reason: str, instance: int | None = None) -> None:
        super().__init__(reason)
        self.instance = instance


class RecordTooLargeError(RecordError):
    """More than the reader's limits allow is to be inflated or allocated."""
