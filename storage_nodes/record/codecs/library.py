"""The library of codecs, loaded with the first frame: who reads no record does without its 20 MB."""

from functools import cache
from typing import Any


@cache
def imagecodecs() -> Any:  # noqa: ANN401 - a module without types
    """Return the library."""
    import imagecodecs as library  # noqa: PLC0415 - as above

    return library
