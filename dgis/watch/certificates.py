"""Until when the configured certificates and lists of revoked ones hold."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509

from dgis.configuration import Configuration


@dataclass(frozen=True, slots=True)
class Expiry:
    """One file of the configuration; `ends` is the earliest end in it, None where it cannot be read."""

    setting: str
    path: Path
    ends: datetime | None


def certificates(configuration: Configuration) -> Iterator[Expiry]:
    """Yield the certificates that this gateway shows."""
    for setting, path in (
        ("dicom.tls_certificate", configuration.dicom.tls_certificate),
        ("web.tls_certificate", configuration.web.tls_certificate),
        ("audit.certificate_file", configuration.audit.certificate_file),
    ):
        if path is not None:
            yield Expiry(setting, path, _certificate_ends(path))


def shown_to_destinations(configuration: Configuration) -> Iterator[Expiry]:
    """Yield the certificates that destinations are shown; by AE title, so not for metrics."""
    for title, where in configuration.dicom.destinations.items():
        if where.tls_certificate is not None:
            setting = f"dicom.destinations.{title}.tls_certificate"
            yield Expiry(setting, where.tls_certificate, _certificate_ends(where.tls_certificate))


def revocation_lists(configuration: Configuration) -> Iterator[Expiry]:
    """Yield the lists of revoked certificates; a door with one that has ended refuses everybody."""
    for setting, path in (
        ("dicom.tls_crl", configuration.dicom.tls_crl),
        ("web.tls_crl", configuration.web.tls_crl),
    ):
        if path is not None:
            yield Expiry(setting, path, _list_ends(path))


def _certificate_ends(path: Path) -> datetime | None:
    try:
        found = x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError):
        return None
    return min(each.not_valid_after_utc for each in found)


def _list_ends(path: Path) -> datetime | None:
    mark = b"-----BEGIN X509 CRL-----"
    try:
        found = [x509.load_pem_x509_crl(mark + each) for each in path.read_bytes().split(mark)[1:]]
    except (OSError, ValueError):
        return None
    return min((each.next_update_utc for each in found if each.next_update_utc is not None), default=None)
