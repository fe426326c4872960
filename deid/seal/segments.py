import os
import struct
from enum import IntEnum
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from deid.elements import Buffer
from deid.keys.values import PatientKey
from deid.seal.values import SealNames, SealReason, SealRefused

NONCE_BYTES = 12
TAG_BYTES = 16
OVERHEAD_BYTES = NONCE_BYTES + TAG_BYTES
PIECE_BYTES = 4 << 20
_INFO = b"dgis/seal/v1"
_PLACE = struct.Struct("<BII")


class Kind(IntEnum):
    """What a segment holds; part of what authenticates it."""

    DIRECTORY = 0
    BLOCK = 1
    PIECE = 2
    ROWS = 3
    PADDING = 4


class Place(NamedTuple):
    """Where a segment stands: kind, number (from 1), how many segments are listed."""

    kind: Kind
    number: int
    listed: int


DIRECTORY_PLACE = Place(Kind.DIRECTORY, 0, 0)


class Cipher:
    """Encrypts and authenticates the segments of one companion, each bound to its place."""

    def __init__(self, key: PatientKey, names: SealNames) -> None:
        """Derive the part's key from the patient's."""
        info = b"\0".join((_INFO, names.site.encode("ascii"), names.part.encode("ascii")))
        self._aead = AESGCM(HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(key.secret))

    def seal(self, binding: bytes, place: Place, raw: Buffer) -> bytes:
        """Return nonce, ciphertext and tag; `binding` is the header, or its identity."""
        # Not passed in: a nonce that repeats would break the cipher, so nobody gets to choose it.
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, memoryview(raw), binding + _PLACE.pack(*place))

    def open(self, binding: bytes, place: Place, stored: bytes) -> bytes:
        """Return what `seal` was given.

        Raises:
            SealRefused: a bit differs, the place differs, or the key is another.
        """
        if len(stored) < OVERHEAD_BYTES:
            raise SealRefused(SealReason.DAMAGED)
        view = memoryview(stored)
        try:
            return self._aead.decrypt(
                bytes(view[:NONCE_BYTES]), view[NONCE_BYTES:], binding + _PLACE.pack(*place)
            )
        except InvalidTag:
            raise SealRefused(SealReason.DAMAGED) from None
