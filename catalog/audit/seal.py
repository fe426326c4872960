"""Signed heads: what the end of a writer's chain was, vouched for by a key that the database does not hold.

A head goes out of the database's reach (nodes, the audit repository), so that somebody who rewrites the
whole trail, or cuts its end, still contradicts it.
"""

import json
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from catalog.audit.chain import DIGEST_BYTES, Head

_DOMAIN = b"dgis/audit-head/v1\0"
_LONGEST_BYTES = 2048
_SEED_BYTES = 32


@dataclass(frozen=True, slots=True)
class SealedHead:
    """A head as it was at `at_ms` (epoch milliseconds)."""

    head: Head
    at_ms: int


def signing_key(seed: bytes) -> Ed25519PrivateKey:
    """Return the key of a 32-byte secret (Ed25519, RFC 8032).

    Raises:
        ValueError: it has another length.
    """
    if len(seed) != _SEED_BYTES:
        raise ValueError(f"an audit key has {_SEED_BYTES} bytes")
    return Ed25519PrivateKey.from_private_bytes(seed)


def seal(key: Ed25519PrivateKey, sealed: SealedHead) -> bytes:
    """Return a signed head as JSON of one line; it holds no identity."""
    stated = {
        "version": 1,
        "writer": sealed.head.writer,
        "number": sealed.head.number,
        "digest": sealed.head.digest.hex(),
        "at_ms": sealed.at_ms,
    }
    signature = key.sign(_DOMAIN + _canonical(stated))
    return _canonical({**stated, "signature": signature.hex()})


def opened(key: Ed25519PublicKey, document: bytes) -> SealedHead | None:
    """Return the head that a document states; None where this key has not signed it.

    Only the very bytes that `seal` writes are taken: a head has one spelling.
    """
    if len(document) > _LONGEST_BYTES:
        return None
    try:
        stated = json.loads(document)
        signature = bytes.fromhex(stated.pop("signature"))
        if document != _canonical({**stated, "signature": signature.hex()}):
            return None
        key.verify(signature, _DOMAIN + _canonical(stated))
        head = Head(str(stated["writer"]), int(stated["number"]), bytes.fromhex(stated["digest"]))
        at_ms = int(stated["at_ms"])
    except (ValueError, TypeError, KeyError, AttributeError, InvalidSignature):
        return None
    well_formed = stated["version"] == 1 and len(head.digest) == DIGEST_BYTES and head.number > 0
    return SealedHead(head, at_ms) if well_formed else None


def _canonical(stated: dict[str, object]) -> bytes:
    return json.dumps(stated, sort_keys=True, separators=(",", ":")).encode()
