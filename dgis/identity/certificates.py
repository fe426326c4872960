"""Client certificates: what TLS has verified, read for the names that a peer entry is bound to."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from cryptography import x509

from catalog.callers import is_assertable

_LABELS = {x509.DNSName: "DNS", x509.UniformResourceIdentifier: "URI", x509.RFC822Name: "email"}


def names_in(certificate: bytes) -> tuple[str, ...]:
    """Return the subject alternative names (RFC 5280 4.2.1.6) as `DNS:...`, `URI:...`, `email:...`, `IP:...`.

    The common name is not among them: it is no name of anything (RFC 6125 6.4.4). Nor are names that nobody
    could be asserted to have.
    """
    try:
        parsed = x509.load_der_x509_certificate(certificate)
        found = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return ()
    return tuple(filter(is_assertable, _written(found)))


def ends_ms(certificate: bytes) -> int:
    """Return when a certificate (DER, readable) ends, in epoch milliseconds."""
    return int(x509.load_der_x509_certificate(certificate).not_valid_after_utc.timestamp() * 1000)


def is_bound(certificate: bytes | None, patterns: Sequence[str]) -> bool:
    """Whether a certificate bears one of the names asked for; where none is asked for, none is needed."""
    if not patterns:
        return True
    if certificate is None:
        return False
    return any(fnmatchcase(name, pattern) for name in names_in(certificate) for pattern in patterns)


def _written(names: x509.SubjectAlternativeName) -> Iterator[str]:
    for name in names:
        label = _LABELS.get(type(name))
        if label is not None:
            yield f"{label}:{name.value}"
        elif isinstance(name, x509.IPAddress):
            yield f"IP:{name.value}"
