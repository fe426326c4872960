"""Public keys that certificates are issued for: strong ones, from a signing request (PKCS #10, RFC 2986)."""

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey

LONGEST_REQUEST = 16 << 10
"""Characters of a signing request in PEM."""

_RSA_BITS = range(2048, 8193)
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)


class NoKey(ValueError):  # noqa: N818 (a refusal)
    """There is no key that a certificate would be issued for; the text says why."""


def requested_key(request: str) -> PublicKey:
    """Return the key of a signing request in PEM, which proves that its sender has the private one.

    Nothing else in it counts: what a certificate says comes from the login.

    Raises:
        NoKey: it is none, its signature does not fit, or its key is too weak.
    """
    if len(request) > LONGEST_REQUEST:
        raise NoKey("a signing request is shorter")
    try:
        parsed = x509.load_pem_x509_csr(request.encode("utf-8"))
        fits, key = parsed.is_signature_valid, parsed.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature):
        raise NoKey("this is no signing request in PEM (PKCS #10)") from None
    if not fits:
        raise NoKey("the signing request is not signed with its own key")
    return _strong(key)


def key_of(encoded: bytes) -> PublicKey:
    """Return a public key (SubjectPublicKeyInfo, DER).

    Raises:
        NoKey: it is none, or too weak.
    """
    try:
        key = load_der_public_key(encoded)
    except (ValueError, UnsupportedAlgorithm):
        raise NoKey("this is no public key") from None
    return _strong(key)


def _strong(key: object) -> PublicKey:
    """Return the key where it is of a kind and size that BCP 195 (RFC 9325 4.5) takes."""
    if isinstance(key, rsa.RSAPublicKey) and key.key_size in _RSA_BITS:
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, _CURVES):
        return key
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key
    raise NoKey("the key is RSA of 2048 to 8192 bits, ECDSA on P-256, P-384 or P-521, or Ed25519")
