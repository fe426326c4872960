"""The grid's own authority: turns a login into a short-lived token or certificate that bears its assertions.

What MyProxy and GridShib did for the paper's grid: tools and workstations carry a limited credential, not a
password. A token is a JWT of this issuer; a certificate holds such a token in an extension, so that one
verifier judges both.
"""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey

from catalog.callers import PATTERN_FIELDS
from catalog.credentials.issuers import Issuer, KeysAway, KeySource, TokenIssuer
from catalog.credentials.tokens import verify_token
from catalog.credentials.values import Judgement, Reason, Rejected, Verified

LONGEST_SECONDS = 12 * 3600
"""Of a credential's life: a working day; what is lost is worth little the day after."""

TOKEN_EXTENSION = x509.ObjectIdentifier("2.25.147326985201477635810392716450913327421")
"""The certificate extension that holds the token (an OID under 2.25, ITU-T X.667)."""

_CEILING = "dgis_may"
_ALGORITHM = "Ed25519"
_BACKDATED_SECONDS = 60  # of a certificate: the clock of whoever checks it may be behind
_ROOT_DAYS = 3650
_LONGEST_CERTIFICATE_BYTES = 64 << 10


def grid_issuer(uri: str, audience: str, keys: KeySource) -> TokenIssuer:
    """Return what verifies the tokens of a grid's authority by its public key."""
    names = {name: f"dgis.{name}" for name in PATTERN_FIELDS} | {"user": "sub"}
    issuer = Issuer(uri, frozenset({audience}), names, ceiling=_CEILING, relays=True)
    return TokenIssuer(issuer, keys, frozenset({_ALGORITHM}))


def judge_certificate(certificate: bytes, grid: TokenIssuer, now_s: int) -> Judgement | None:
    """Judge the token in a client certificate (DER) that TLS has verified; None where it holds none.

    A certificate of another authority that bears a token of the grid proves nothing: nobody whom the grid
    trusts has bound the token to its key.
    """
    if len(certificate) > _LONGEST_CERTIFICATE_BYTES:
        return Rejected(Reason.TOO_LONG)
    try:
        parsed = x509.load_der_x509_certificate(certificate)
        found = parsed.extensions.get_extension_for_oid(TOKEN_EXTENSION).value
    except x509.ExtensionNotFound:
        return None
    except ValueError:
        return Rejected(Reason.MALFORMED)
    try:
        keys = [key.public_key for key in grid.keys.keys(fresh=False).keys]
    except KeysAway:
        return Rejected(Reason.KEYS_AWAY)
    if parsed.issuer != _name(grid.issuer.uri) or not any(_signed_by(parsed, key) for key in keys):
        return Rejected(Reason.SIGNATURE)
    if not isinstance(found, x509.UnrecognizedExtension):
        return Rejected(Reason.MALFORMED)
    return verify_token(found.value, {grid.issuer.uri: grid}, now_s, _thumbprint(parsed.public_key()))


@dataclass(frozen=True, slots=True)
class Authority:
    """Issues the grid's own credentials; gateways that share the key trust each other's."""

    uri: str
    audience: str
    key: Ed25519PrivateKey = field(repr=False)

    def token(self, login: Verified, seconds: int, now_s: int, bound_to: str | None = None) -> str:
        """Return a token for whoever proved a login, bearing its assertions and its ceiling.

        It ends with the login's own proof, or after `seconds`, whichever is first. `bound_to` is the
        thumbprint of the only key that it counts with.

        Raises:
            ValueError: `seconds` is not within 1 and LONGEST_SECONDS, or the login has expired.
        """
        said = login.assertions
        claims = {
            "iss": self.uri,
            "aud": self.audience,
            "sub": said.user or login.name,
            "iat": now_s,
            "exp": self._until(login, seconds, now_s),
            "dgis": {name: list(said.values(name)) for name in PATTERN_FIELDS},
            _CEILING: sorted(right.value for right in login.may),
        }
        if bound_to is not None:
            claims["cnf"] = {"jkt": bound_to}
        key = OKPKey.import_key(self.key)
        return jwt.encode({"alg": _ALGORITHM}, claims, key, algorithms=[_ALGORITHM])

    def jwks(self) -> bytes:
        """Return the public key as a JSON Web Key Set (RFC 7517): what doors verify with."""
        public = OKPKey.import_key(self.key.public_key())
        return json.dumps(KeySet([public]).as_dict(private=False)).encode()

    def root(self, now_s: int) -> x509.Certificate:
        """Return the certificate that a door trusts to verify this authority's client certificates."""
        begin = datetime.fromtimestamp(now_s, UTC) - timedelta(days=1)
        return (
            x509.CertificateBuilder()
            .subject_name(_name(self.uri))
            .issuer_name(_name(self.uri))
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + timedelta(days=_ROOT_DAYS))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self.key, None)
        )

    def revoked(self, now_s: int) -> x509.CertificateRevocationList:
        """Return this authority's list of revoked certificates, which is empty: they end by themselves soon.

        A door that checks lists of revocation wants one of every authority it trusts.
        """
        begin = datetime.fromtimestamp(now_s, UTC) - timedelta(days=1)
        builder = x509.CertificateRevocationListBuilder().issuer_name(_name(self.uri))
        return builder.last_update(begin).next_update(begin + timedelta(days=_ROOT_DAYS)).sign(self.key, None)

    def certificate(
        self, login: Verified, public_key: CertificatePublicKeyTypes, seconds: int, now_s: int
    ) -> x509.Certificate:
        """Return a client certificate with the token for a login inside; it ends when the token does.

        Raises:
            ValueError: as `token`.
        """
        until_s = self._until(login, seconds, now_s)
        # Whoever sees the certificate, over TLS 1.2 everybody, must not have a bearer token by that.
        token = self.token(login, seconds, now_s, _thumbprint(public_key))
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, login.name[:64])])
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(_name(self.uri))
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime.fromtimestamp(now_s - _BACKDATED_SECONDS, UTC))
            .not_valid_after(datetime.fromtimestamp(until_s, UTC))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .add_extension(x509.UnrecognizedExtension(TOKEN_EXTENSION, token.encode()), critical=False)
            .sign(self.key, None)
        )

    def _until(self, login: Verified, seconds: int, now_s: int) -> int:
        if not 0 < seconds <= LONGEST_SECONDS:
            raise ValueError(f"a credential lives 1 to {LONGEST_SECONDS} seconds")
        until_s = now_s + seconds if login.until_ms is None else min(now_s + seconds, login.until_ms // 1000)
        if until_s <= now_s:
            raise ValueError("the login has expired")
        return until_s


def _thumbprint(key: object) -> str | None:
    """Return the JWK thumbprint of a public key (RFC 7638); None for kinds that JWK does not know."""
    if isinstance(key, rsa.RSAPublicKey):
        return RSAKey.import_key(key).thumbprint()
    if isinstance(key, ec.EllipticCurvePublicKey):
        return ECKey.import_key(key).thumbprint()
    if isinstance(key, Ed25519PublicKey):
        return OKPKey.import_key(key).thumbprint()
    return None


def _name(uri: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, uri[:64])])


def _signed_by(certificate: x509.Certificate, key: object) -> bool:
    if not isinstance(key, Ed25519PublicKey):
        return False
    try:
        key.verify(certificate.signature, certificate.tbs_certificate_bytes)
    except InvalidSignature:
        return False
    return True
