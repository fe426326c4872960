"""An original as a PNG for the reviewer's eyes: decoded by the child processes, written for one user only."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs

from deid.cleaned import Decode
from deid.elements import Buffer
from deid.splice import Split, split
from dgis.review.picture import NoPictureError, picture
from dgis.transcode.syntaxes import EXPLICIT_LITTLE_ENDIAN

_encode: Callable[..., Any] = imagecodecs.png_encode


def png(dataset: Buffer, transfer_syntax: str, frame: int, decode: Decode) -> bytes:
    """Return a frame of an original, counted from 1, as PNG.

    Raises:
        NoPictureError: there is no such frame, or its pixels lie in a way not known here.
        deid.cleaned.NotDecoded: they cannot be had as native ones.
    """
    native = dataset if transfer_syntax == EXPLICIT_LITTLE_ENDIAN else decode(dataset, transfer_syntax)
    found = split(native, EXPLICIT_LITTLE_ENDIAN)
    if not isinstance(found, Split):
        raise NoPictureError(found.reason.value)
    return bytes(_encode(picture(native, found, frame)))


def write_private(path: Path, data: bytes) -> None:
    """Write a file that its owner alone can read; one of that name is replaced, whole.

    Raises:
        OSError: it cannot be written.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
