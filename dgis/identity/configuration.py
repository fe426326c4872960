"""Whose statements about callers this gateway believes: `[identity]` and `[[identity.issuers]]`."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from catalog.callers import LONGEST_VALUE, SHARED, is_assertable


def _asserted(value: str) -> str:
    if not is_assertable(value):
        raise ValueError(f"an asserted value has {LONGEST_VALUE} characters at most, none of control")
    return value


RightName = Literal["find", "retrieve", "phi", "store", "share", "administer"]
CredentialKind = Literal["certificate", "passcode", "kerberos", "saml", "jwt", "token"]
StatedField = Literal["department", "institution", "role", "purpose"]
AssertedValue = Annotated[str, AfterValidator(_asserted)]

_DEFAULT_NAMES = {
    "oidc": {"user": "sub", "department": "department", "institution": "institution", "role": "roles"},
    "saml": {
        # IHE ITI TF-2 3.40.4.1.2 (XUA); purpose and organization as XSPA names them.
        "user": "NameID",
        "institution": "urn:oasis:names:tc:xspa:1.0:subject:organization",
        "department": "urn:oasis:names:tc:xspa:1.0:subject:department",
        "role": "urn:oasis:names:tc:xacml:2.0:subject:role",
        "purpose": "urn:oasis:names:tc:xspa:1.0:subject:purposeofuse",
    },
}


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class IssuerEntry(_Section):
    """An identity provider: `oidc` signs tokens with keys found by discovery or given, `saml` assertions.

    `kerberos` is a realm, whose tickets `identity.keytab_file` opens.
    """

    kind: Literal["oidc", "saml", "kerberos"]
    uri: Annotated[str, Field(min_length=1)]
    audiences: tuple[str, ...] = ()  # absent: identity.audience
    algorithms: tuple[str, ...] = ("RS256",)
    jwks_file: Path | None = None
    jwks_url: str | None = None  # absent, as jwks_file: what the issuer's discovery document names
    ca_file: Path | None = None  # whom its HTTPS is verified by; absent: the system's
    certificate_files: tuple[Path, ...] = ()
    realm: Annotated[str, Field(min_length=1)] | None = None  # absent: the uri
    states: dict[
        StatedField, AssertedValue
    ] = {}  # of every principal of the realm: a ticket says a name only
    client_id: Annotated[str, Field(min_length=1)] | None = None  # browsers log in by it (kind = "oidc")
    client_secret: SecretStr | None = None
    client_secret_file: Path | None = None
    label: str | None = None  # on the login page; absent: the uri
    scopes: tuple[str, ...] = ("openid",)
    login_by: Literal["id", "access"] = "id"  # which of its tokens states who has logged in
    names: dict[str, str] = {}  # assertion -> claim or attribute; what is not named is as usual for the kind
    institutions: tuple[str, ...] | None = None  # those it may vouch for; absent: any
    may: frozenset[RightName] = frozenset({"find", "retrieve", "phi", "store", "share"})

    @model_validator(mode="after")
    def _has_keys(self) -> Self:
        if self.kind == "saml" and not self.certificate_files:
            raise ValueError(f"issuer {self.uri}: certificate_files pins the certificates it signs with")
        if self.jwks_file is not None and self.jwks_url is not None:
            raise ValueError(f"issuer {self.uri}: jwks_file and jwks_url exclude each other")
        if self.kind != "kerberos" and (self.realm or self.states):
            raise ValueError(f'issuer {self.uri}: realm and states are for kind = "kerberos"')
        return self

    @model_validator(mode="after")
    def _is_not_ours(self) -> Self:
        if self.uri == SHARED:
            raise ValueError(f"issuer {self.uri}: this gateway vouches under that name for share tokens")
        return self

    @model_validator(mode="after")
    def _client_is_whole(self) -> Self:
        secrets = [each for each in (self.client_secret, self.client_secret_file) if each is not None]
        if (secrets or self.client_id is not None) and self.kind != "oidc":
            raise ValueError(f'issuer {self.uri}: client_id is for kind = "oidc"')
        if secrets and self.client_id is None:
            raise ValueError(f"issuer {self.uri}: client_secret needs client_id")
        if len(secrets) > 1:
            raise ValueError(f"issuer {self.uri}: client_secret and client_secret_file exclude each other")
        if "openid" not in self.scopes:
            raise ValueError(f'issuer {self.uri}: scopes must hold "openid"')
        return self

    @property
    def all_names(self) -> dict[str, str]:
        """Which claim or attribute states which assertion."""
        return {**_DEFAULT_NAMES.get(self.kind, {}), **self.names}


class IdentitySection(_Section):
    """Who vouches for callers, beside AE titles and addresses."""

    audience: str = "urn:dgis"  # whom tokens and assertions must be meant for
    grid: str = "urn:dgis:grid"  # the issuer of this grid's own short-lived credentials
    recipients: tuple[str, ...] = ()  # what SAML assertions may name, beside where the web door takes them
    passcodes_without_tls: bool = False
    keytab_file: Path | None = None  # opens Kerberos tickets; of this service alone
    issuers: tuple[IssuerEntry, ...] = ()

    @model_validator(mode="after")
    def _each_issuer_once(self) -> Self:
        uris = [(entry.kind, entry.uri) for entry in self.issuers]
        if len(set(uris)) != len(uris):
            raise ValueError("two issuers have the same uri")
        realms = [entry.realm or entry.uri for entry in self.issuers if entry.kind == "kerberos"]
        if len(set(realms)) != len(realms):
            raise ValueError("two issuers have the same realm")
        if realms and self.keytab_file is None:
            raise ValueError(f"realm {realms[0]}: identity.keytab_file opens its tickets")
        return self
