import os
import secrets
import stat
from pathlib import Path

from deid.keys.durable import create, make_folder, replace
from deid.keys.values import SECRET_BYTES, KeysRefused

_LONGEST_FILE_BYTES = 64 << 10


def create_secrets(path: Path) -> bool:
    """Make a file with one new random secret, 0600 and durable; False where the file exists already."""
    make_folder(path.parent)
    return create(path, _encode((secrets.token_bytes(SECRET_BYTES),)))


def replace_secrets(path: Path, found: tuple[bytes, ...]) -> None:
    """Give a file these secrets at once, durable when this returns."""
    replace(path, _encode(found))


def load_secrets(path: Path) -> tuple[bytes, ...]:
    """Read the secrets of a file: 32 bytes each, a line of 64 hex digits each.

    Raises:
        KeysRefused: no such file, one that others can read or change, or one that holds something else.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise KeysRefused(
            f"cannot read the key file {path.name}: {error.strerror}; make keys with `dgis keys init`"
        ) from error
    with os.fdopen(descriptor, "rb") as file:
        _check_access(path, os.fstat(descriptor))
        raw = file.read(_LONGEST_FILE_BYTES)
    try:
        found = tuple(bytes.fromhex(line) for line in raw.decode("ascii").split())
    except ValueError:
        found = ()  # the error would quote what was read: it is not chained
    if not found or any(len(secret) != SECRET_BYTES for secret in found):
        raise KeysRefused(f"the key file {path.name} does not hold lines of 64 hex digits")
    return found


def _check_access(path: Path, status: os.stat_result) -> None:
    """Refuse what others may read or change.

    The group may read a file that is not ours: secrets mounted by a container platform come that way.
    """
    forbidden = stat.S_IRWXG | stat.S_IRWXO
    if status.st_uid != os.geteuid():
        forbidden &= ~stat.S_IRGRP
    if not stat.S_ISREG(status.st_mode) or status.st_mode & forbidden:
        raise KeysRefused(f"the key file {path.name} is open to others: chmod 600 it, and only its owner's")
    if status.st_uid not in {os.geteuid(), 0}:
        raise KeysRefused(
            f"the key file {path.name} belongs to another user: only its owner can vouch for it"
        )


def _encode(found: tuple[bytes, ...]) -> bytes:
    return b"".join(secret.hex().encode("ascii") + b"\n" for secret in found)
