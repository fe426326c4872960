"""What a session holds, closed with a key that is made of the secret in its cookie.

The database keeps the digest of the secret and the closed bytes: with both nobody opens anything, and a
row that is put under another digest does not open either.
"""

import hashlib
import json
import re
import secrets
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")  # base64url of 32 bytes (RFC 4648 5)
_NONCE_BYTES = 12
_INFO = b"dgis session"


def new_secret() -> str:
    """Return a secret for a cookie, 256 random bits."""
    return secrets.token_urlsafe(32)


def is_secret(text: str) -> bool:
    """Whether a text could be one."""
    return bool(_SECRET.fullmatch(text))


def digest(secret: str) -> bytes:
    """Return what a session is found by, 32 bytes."""
    return hashlib.sha256(secret.encode()).digest()


def closed(secret: str, held: Mapping[str, str]) -> bytes:
    """Close what a session holds."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    plain = json.dumps(dict(held)).encode()
    return nonce + AESGCM(_key(secret)).encrypt(nonce, plain, digest(secret))


def opened(secret: str, sealed: bytes) -> dict[str, str] | None:
    """Return what a session holds; None where the secret does not open it."""
    try:
        plain = AESGCM(_key(secret)).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], digest(secret))
    except (InvalidTag, ValueError):
        return None
    held: dict[str, str] = json.loads(plain)
    return held


def _key(secret: str) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=_INFO).derive(secret.encode())
