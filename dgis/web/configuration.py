"""The web door: `[web]`."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from dgis.identity.addresses import is_loopback
from dgis.sessions.configuration import SessionsSection
from dgis.sessions.origin import origin_of

ACS_PATH = "/api/saml/acs"


def _origin(value: str) -> str:
    if value != origin_of(value) or not value.startswith(("https://", "http://")):
        raise ValueError(f"{value}: an origin is scheme, host and port, as https://viewer.example")
    return value


class RatesSection(BaseModel):
    """How often somebody may ask, at one process of the door; 0 a second or minute: as often as they like."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    address_per_second: Annotated[int, Field(ge=0)] = 1000
    address_burst: Annotated[int, Field(gt=0)] = 10_000
    caller_per_second: Annotated[int, Field(ge=0)] = 1000
    caller_burst: Annotated[int, Field(gt=0)] = 10_000
    refused_per_minute: Annotated[int, Field(ge=0)] = (
        600  # credentials; beyond, none of the address is judged
    )


class Web(BaseModel):
    """Where HTTP is spoken, and how."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8042  # HTTPS where there is a certificate
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None  # whose certificates clients bear; absent: none is asked for
    tls_client_certificate: Literal["required", "optional"] = "optional"
    tls_crl: Path | None = None
    url: str | None = None  # as clients call it; SAML responses must be meant for it then
    store_bytes: Annotated[int, Field(gt=0)] = 32 << 30  # of one request that stores images
    store_instance_bytes: Annotated[int, Field(gt=0)] = 8 << 30  # of one image in it
    stores_at_once: Annotated[int, Field(gt=0)] = 32  # half of them for one caller
    allow_plain_http: bool = False  # beyond loopback, where something before it speaks TLS
    origins: tuple[Annotated[str, AfterValidator(_origin)], ...] = ()  # whose pages may ask from a browser
    sessions: SessionsSection = SessionsSection()
    rates: RatesSection = RatesSection()

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key belong together")
        if self.tls_client_ca is not None and self.tls_certificate is None:
            raise ValueError("tls_client_ca needs tls_certificate and tls_key")
        if self.tls_crl is not None and self.tls_client_ca is None:
            raise ValueError("tls_crl needs tls_client_ca")
        plain = self.tls_certificate is None and not self.allow_plain_http
        if plain and not (self.host == "localhost" or is_loopback(self.host)):
            raise ValueError(
                f"host {self.host}: tokens would cross the network in clear; give tls_certificate and "
                "tls_key, or write allow_plain_http = true where a proxy before it speaks TLS"
            )
        return self

    @property
    def acs_url(self) -> str | None:
        """Where browsers bring SAML responses to, as the outside calls it."""
        return None if self.url is None else self.url.rstrip("/") + ACS_PATH
