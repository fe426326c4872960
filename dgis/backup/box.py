"""The encrypted stream of a backup file (FORMAT.md): chunks in order, the last one marked."""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from deid.keys.files import load_secrets
from deid.keys.values import KeysError
from dgis.backup.values import BackupError

MAGIC: Final = b"DGISBKP\n"
_HEADER: Final = struct.Struct(">8sHBB16s7s")
_VERSION: Final = 1
_KEY_FILE, _PASSPHRASE = 0, 1
_SCRYPT_LOG_N: Final = 17  # 128 MiB, about half a second
_MOST_LOG_N: Final = 22
_CHUNK_BYTES: Final = 1 << 20
_TAG_BYTES: Final = 16
_SHORTEST_PASSPHRASE: Final = 12


@dataclass(frozen=True, slots=True)
class Opener:
    """What opens a backup: the secret of a key file, or a passphrase."""

    secret: bytes = field(repr=False)
    passphrase: bool = False

    @classmethod
    def key_file(cls, path: Path) -> "Opener":
        """Read a key file: one secret of 32 bytes in hex, 0600.

        Raises:
            BackupError: there is none, or it is no such file.
        """
        try:
            return cls(load_secrets(path)[0])
        except KeysError as error:
            raise BackupError(str(error)) from None

    @classmethod
    def passphrase_file(cls, path: Path) -> "Opener":
        """Read a passphrase: the first line of a file.

        Raises:
            BackupError: it cannot be read, or is too short to keep anybody out.
        """
        try:
            lines = path.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise BackupError(f"cannot read the passphrase: {type(error).__name__}") from None
        said = lines[0].strip() if lines else ""
        if len(said) < _SHORTEST_PASSPHRASE:
            raise BackupError(f"a passphrase has at least {_SHORTEST_PASSPHRASE} characters")
        return cls(said.encode(), passphrase=True)

    def key(self, salt: bytes, log_n: int) -> bytes:
        """Return the key of one file."""
        secret = self.secret
        if self.passphrase:
            secret = Scrypt(salt=salt, length=32, n=1 << log_n, r=8, p=1).derive(secret)
        return HKDF(algorithm=SHA256(), length=32, salt=salt, info=b"dgis/backup/v1").derive(secret)


class BoxWriter:
    """Encrypts what is written; `close` ends the stream, and without it the file is none."""

    def __init__(self, file: BinaryIO, opener: Opener) -> None:
        salt, self._prefix = os.urandom(16), os.urandom(7)
        log_n = _SCRYPT_LOG_N if opener.passphrase else 0
        kind = _PASSPHRASE if opener.passphrase else _KEY_FILE
        self._header = _HEADER.pack(MAGIC, _VERSION, kind, log_n, salt, self._prefix)
        self._cipher = AESGCM(opener.key(salt, log_n))
        self._file = file
        self._held = bytearray()
        self._number = 0
        file.write(self._header)

    def write(self, data: bytes) -> int:
        """Take some of the stream."""
        self._held += data
        while len(self._held) > _CHUNK_BYTES:
            self._seal(bytes(self._held[:_CHUNK_BYTES]), last=False)
            del self._held[:_CHUNK_BYTES]
        return len(data)

    def close(self) -> None:
        """Write the last chunk."""
        self._seal(bytes(self._held), last=True)

    def _seal(self, plain: bytes, *, last: bool) -> None:
        nonce = _nonce(self._prefix, self._number, last=last)
        self._file.write(self._cipher.encrypt(nonce, plain, self._header))
        self._number += 1


def opened(file: BinaryIO, opener: Opener) -> Iterator[bytes]:
    """Yield the stream of a file, each piece once it is authentic.

    Raises:
        BackupError: no backup, a later version, another key, damaged, or cut short.
    """
    header = file.read(_HEADER.size)
    if len(header) < _HEADER.size or not header.startswith(MAGIC):
        raise BackupError("this file is no backup")
    _magic, version, kind, log_n, salt, prefix = _HEADER.unpack(header)
    if version != _VERSION:
        raise BackupError("the backup is of a later version than this program reads")
    if kind != (_PASSPHRASE if opener.passphrase else _KEY_FILE):
        raise BackupError(
            "the backup opens with a passphrase"
            if kind == _PASSPHRASE
            else "the backup opens with a key file"
        )
    if log_n > _MOST_LOG_N:
        raise BackupError("the backup asks for more work than any was made with")
    cipher = AESGCM(opener.key(salt, log_n))
    number, chunk = 0, file.read(_CHUNK_BYTES + _TAG_BYTES)
    while True:
        following = file.read(_CHUNK_BYTES + _TAG_BYTES)
        last = not following
        try:
            yield cipher.decrypt(_nonce(prefix, number, last=last), chunk, header)
        except InvalidTag:
            raise BackupError("the backup is damaged or cut short, or this is not its key") from None
        if last:
            return
        number, chunk = number + 1, following


def _nonce(prefix: bytes, number: int, *, last: bool) -> bytes:
    return prefix + number.to_bytes(4, "big") + bytes([last])
