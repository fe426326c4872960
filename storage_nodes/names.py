import re
from typing import Final, Self

_OBJECT_NAME: Final = re.compile(r"[a-z0-9._-]+(?:/[a-z0-9._-]+)*")
_RECORD_KEY: Final = re.compile(r"[a-z0-9.-]{1,128}")
_LONGEST_OBJECT_NAME: Final = 512
"""Characters; S3 allows 1,024 bytes and most file systems 4,096 a path: half leaves room for a prefix."""
_LONGEST_SEGMENT: Final = 200
"""Characters; file systems allow 255 bytes: the rest is room for the suffix of a temporary name."""


class InvalidNameError(ValueError):
    """A name that no node may be asked for; the text never repeats the name."""


class ObjectName(str):
    """The name of one object on a node, valid as a relative path and as an S3 key alike.

    Lower case only, so that a case-insensitive file system cannot make two names one.

    Raises:
        InvalidNameError: empty, too long, a character outside `[a-z0-9._/-]`, or a segment that is empty,
            begins with a dot (hidden and temporary files, `.`, `..`) or is longer than a file system takes.
    """

    __slots__ = ()

    def __new__(cls, value: str) -> Self:
        """Parse `value`, once, where it enters."""
        if len(value) > _LONGEST_OBJECT_NAME:
            raise InvalidNameError(f"object name of {len(value)} characters; at most {_LONGEST_OBJECT_NAME}")
        if _OBJECT_NAME.fullmatch(value) is None:
            raise InvalidNameError("object name must be segments of [a-z0-9._-] joined by single slashes")
        for segment in value.split("/"):
            if segment.startswith(".") or len(segment) > _LONGEST_SEGMENT:
                raise InvalidNameError(
                    f"object name segment starts with a dot or is over {_LONGEST_SEGMENT} long"
                )
        return super().__new__(cls, value)


class RecordKey(str):
    """The opaque key that joins a catalog row, its replicas and its record; it means nothing by itself.

    Raises:
        InvalidNameError: not 1 to 128 characters of `[a-z0-9.-]`, or beginning with a dot (it becomes part of
            object names).
    """

    __slots__ = ()

    def __new__(cls, value: str) -> Self:
        """Parse `value`, once, where it enters."""
        if _RECORD_KEY.fullmatch(value) is None or value.startswith("."):
            raise InvalidNameError(
                "record key must be 1 to 128 characters of [a-z0-9.-] and not begin with a dot"
            )
        return super().__new__(cls, value)
