"""Where audit messages go: `[audit]`."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

Transport = Literal["tls", "tcp", "udp"]
_PORTS = {"tls": 6514, "tcp": 601, "udp": 514}  # RFC 5425, RFC 6587 (as registered), RFC 5426
_SCHEMES = tuple(f"syslog+{each}" for each in get_args(Transport))


@dataclass(frozen=True, slots=True)
class Address:
    """An audit record repository."""

    transport: Transport
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"syslog+{self.transport}://{host}:{self.port}"


def parse_address(text: str) -> Address:
    """Read an address as `syslog+tls://host:6514`.

    Raises:
        ValueError: it is none; the words say what would be one.
    """
    parts = urlsplit(text)
    plain = not (parts.username or parts.password or parts.query or parts.fragment or parts.path.strip("/"))
    if parts.scheme not in _SCHEMES or not parts.hostname or not plain:
        raise ValueError(f"a repository is written as {' or '.join(_SCHEMES)}, then ://HOST:PORT")
    transport = next(each for each in get_args(Transport) if parts.scheme == f"syslog+{each}")
    return Address(transport, parts.hostname, parts.port or _PORTS[transport])


class AuditSection(BaseModel):
    """The audit record repository, to which the whole trail is sent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    repository: str | None = None  # syslog+tls://host:6514; syslog+tcp, syslog+udp: in clear
    ca_file: Path | None = None  # by whom its certificate is verified
    certificate_file: Path | None = None  # what this gateway shows of itself
    key_file: Path | None = None
    allow_clear: bool = False  # syslog+tcp and syslog+udp beyond loopback
    # What was handed over so lately is sent again. A dead connection is known by then: dgis.repository.line.
    resend_seconds: Annotated[float, Field(ge=30)] = 60.0

    @property
    def address(self) -> Address | None:
        """Where the repository is; None where there is none."""
        return None if self.repository is None else parse_address(self.repository)

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        address = self.address
        if address is None:
            return self
        files = (self.ca_file, self.certificate_file, self.key_file)
        if address.transport == "tls" and None in files:
            raise ValueError(
                "syslog+tls needs ca_file, certificate_file and key_file: both sides prove themselves"
            )
        if address.transport != "tls" and not self.allow_clear and not _is_loopback(address.host):
            raise ValueError(
                "audit messages hold identifying data: in clear they go to loopback only; use syslog+tls, or "
                "write allow_clear = true to accept that"
            )
        return self


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
