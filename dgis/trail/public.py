"""The public half of the key that signs the trail, written down for doors, which hold no key."""

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from deid.keys import durable

_MOST_BYTES = 256


class NoPublicKeyError(Exception):
    """There is no public key, or what lies in its place is none; the text names no path."""


def public_file(home: Path) -> Path:
    """Return where the public key lies: beside what else a worker writes down for doors."""
    return home / "run" / "audit-key.pub"


def write_public(path: Path, key: Ed25519PublicKey) -> None:
    """Write it down, in hexadecimal.

    Raises:
        OSError: the folder cannot be written.
    """
    durable.make_folder(path.parent)
    durable.replace(path, key.public_bytes_raw().hex().encode() + b"\n")


def read_public(path: Path) -> Ed25519PublicKey:
    """Read it.

    Raises:
        NoPublicKeyError: it cannot be.
    """
    try:
        with path.open("rb") as file:
            said = file.read(_MOST_BYTES)
        return Ed25519PublicKey.from_public_bytes(bytes.fromhex(said.decode("ascii")))
    except OSError:
        raise NoPublicKeyError("no worker of this gateway has written its audit key down here") from None
    except (ValueError, UnsupportedAlgorithm):
        raise NoPublicKeyError("what lies in the place of the public audit key is none") from None
