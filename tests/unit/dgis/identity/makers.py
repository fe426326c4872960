"""Certificates of the tests: an authority, servers, clients, and a list of those revoked."""

import datetime as dt
from dataclasses import dataclass, field
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)
CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH


def new_key():
    return rsa.generate_private_key(65537, 2048)


def pem(thing):
    if isinstance(thing, x509.Certificate | x509.CertificateRevocationList):
        return thing.public_bytes(serialization.Encoding.PEM)
    return thing.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@dataclass
class Authority:
    """Signs certificates; `name` is its common name."""

    name: str = "authority"
    key: rsa.RSAPrivateKey = field(default_factory=new_key)

    def __post_init__(self):
        self.subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)])
        builder = self._builder(self.subject, self.key, NOW - DAY, NOW + 30 * DAY)
        self.certificate = builder.add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        ).sign(self.key, hashes.SHA256())

    def issue(self, name, key, *, usage=CLIENT, begin=NOW - DAY, end=NOW + DAY):
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a common name is no name")])
        names = x509.SubjectAlternativeName([x509.DNSName(name)])
        builder = self._builder(subject, key, begin, end).add_extension(names, critical=False)
        return builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False).sign(
            self.key, hashes.SHA256()
        )

    def revoke(self, *certificates):
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.subject)
            .last_update(NOW - DAY)
            .next_update(NOW + DAY)
        )
        for certificate in certificates:
            revoked = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number)
            builder = builder.add_revoked_certificate(revoked.revocation_date(NOW - DAY).build())
        return builder.sign(self.key, hashes.SHA256())

    def _builder(self, subject, key, begin, end):
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(end)
        )


@cache
def authority():
    return Authority()


@cache
def client_key():
    return new_key()


def client_certificate(name):
    """The DER of a client's certificate, as TLS hands it over."""
    return authority().issue(name, client_key()).public_bytes(serialization.Encoding.DER)
