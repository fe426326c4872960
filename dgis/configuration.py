"""What can be configured: one frozen model per section of the TOML file (docs/operations.md lists them)."""

import ipaddress
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    SecretStr,
    Tag,
    field_serializer,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from dgis.identity.configuration import AssertedValue, CredentialKind, IdentitySection, RightName
from dgis.repository.configuration import AuditSection
from dgis.retention.configuration import Quota, RetentionSection
from dgis.watch.configuration import Traces
from dgis.web.configuration import Web
from replica.placement import Place, Rule, why_impossible

Port = Annotated[int, Field(ge=0, le=65535)]
PositiveInt = Annotated[int, Field(gt=0)]
Seconds = Annotated[float, Field(ge=0)]
AE_TITLE_CHARACTERS = 16


def _ae_title(value: str) -> str:
    """PS3.5 6.2, VR AE: 1 to 16 characters of the default repertoire, no backslash, not only spaces."""
    stripped = value.strip(" ")
    well_formed = stripped.isascii() and stripped.isprintable() and "\\" not in stripped
    if not (well_formed and 1 <= len(stripped) <= AE_TITLE_CHARACTERS):
        raise ValueError("an AE title has 1 to 16 printable ASCII characters and no backslash")
    return stripped


def _network(value: str) -> str:
    ipaddress.ip_network(value, strict=False)
    return value


AETitle = Annotated[str, AfterValidator(_ae_title)]
Network = Annotated[str, AfterValidator(_network)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Gateway(Section):
    home: Path = Path("var")
    facility: str = "Demo Hospital"
    name: str = "gateway-1"  # this gateway among several on one catalog; names its cache and its leases
    site: str = "east"  # nodes of the same site are read first
    away_after_seconds: Annotated[int, Field(ge=10)] = 180  # of silence, then others take over its work


class AssertionSet(Section):
    """What is asserted about a caller; the issuer of an assertion made here is this gateway."""

    user: AssertedValue | None = None
    department: AssertedValue | None = None
    institution: AssertedValue | None = None
    role: AssertedValue | None = None
    purpose: AssertedValue | None = None


class Peer(Section):
    """A DICOM device or a family of them; the first entry that matches title and address decides."""

    ae_title: AETitle
    addresses: tuple[Network, ...] = ("127.0.0.1/32",)
    assertions: AssertionSet = AssertionSet()
    may: frozenset[RightName] = frozenset()
    allow_phi_by_address: bool = False
    certificate_names: tuple[
        str, ...
    ] = ()  # patterns (`DNS:ws1.*`); the title is bound to such a certificate
    requires: frozenset[CredentialKind] = frozenset()  # any of these must be presented


class Destination(Section):
    host: str
    port: Port
    notify: bool = False  # of series that became retrievable (Instance Availability Notification)
    notify_deidentified: bool = False  # also of what it may have in de-identified form alone
    tls: bool = False
    tls_ca: Path | None = None  # whom its certificate is verified by; absent: the system's
    tls_name: str | None = None  # the name its certificate bears; absent: the host
    tls_certificate: Path | None = None  # shown to it, where it asks for one
    tls_key: Path | None = None

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        said = (self.tls_ca, self.tls_name, self.tls_certificate, self.tls_key)
        if not self.tls and any(each is not None for each in said):
            raise ValueError("tls_ca, tls_name, tls_certificate and tls_key need tls = true")
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key belong together")
        return self


class Dicom(Section):
    ae_title: AETitle = "DGIS"
    host: str = "127.0.0.1"
    port: Port = 11112
    peers: tuple[Peer, ...] = (
        Peer(
            ae_title="HOSPITAL*",
            assertions=AssertionSet(user="pacs", department="Radiology", institution="Demo Hospital"),
            may=frozenset({"store", "find", "retrieve", "phi"}),
        ),
        Peer(
            ae_title="RESEARCH*",
            assertions=AssertionSet(
                user="researcher", department="Informatics", institution="Elsewhere University"
            ),
            may=frozenset({"find", "retrieve"}),
        ),
    )
    tls_port: Port | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None  # whose certificates clients bear; absent: none is asked for
    tls_client_certificate: Literal["required", "optional"] = "required"
    tls_crl: Path | None = None
    destinations: dict[str, Destination] = {
        "HOSPITAL_WS": Destination(host="127.0.0.1", port=11113),
        "RESEARCH_WS": Destination(host="127.0.0.1", port=11114),
    }
    max_associations: PositiveInt = 100
    max_pdu_bytes: Annotated[int, Field(ge=4096, le=1 << 20)] = 131072
    idle_seconds: Seconds = 60.0  # silence on an association before it is aborted
    minimum_bytes_per_second: PositiveInt = 1024  # a slower sender is cut off

    @model_validator(mode="after")
    def _phi_by_address_is_loopback_only(self) -> Self:
        for peer in self.peers:
            networks = [ipaddress.ip_network(text, strict=False) for text in peer.addresses]
            local = all(network.is_loopback for network in networks)
            proven = bool(peer.requires or peer.certificate_names)
            if "phi" in peer.may and not local and not proven and not peer.allow_phi_by_address:
                raise ValueError(
                    f"peer {peer.ae_title}: an AE title and an address alone release identifying data "
                    "only on loopback; ask for a credential (requires, certificate_names), or write "
                    "allow_phi_by_address = true to accept that"
                )
        return self

    @model_validator(mode="after")
    def _tls_is_whole(self) -> Self:
        if self.tls_port is not None and (self.tls_certificate is None or self.tls_key is None):
            raise ValueError("tls_port needs tls_certificate and tls_key")
        asked = [
            peer.ae_title for peer in self.peers if peer.certificate_names or peer.requires == {"certificate"}
        ]
        if asked and (self.tls_port is None or self.tls_client_ca is None):
            raise ValueError(
                f"peer {asked[0]} must bear a certificate: that needs tls_port and tls_client_ca"
            )
        return self


class Commitment(Section):
    """Storage Commitment: how long is waited, for what."""

    unknown_seconds: Seconds = 300.0  # for an instance that is not here: it may come, or not be indexed yet
    wait_days: Annotated[float, Field(ge=0)] = 3.0  # to be published, copied and proven
    report_days: Annotated[float, Field(ge=0)] = 7.0  # to be taken by the one who asked
    most_instances: Annotated[int, Field(gt=0, le=60_000)] = 10_000  # of one transaction


class CatalogDatabase(Section):
    url: str = Field(default="sqlite", repr=False)  # may hold a password

    @field_serializer("url")
    def _without_password(self, url: str) -> str:
        if url == "sqlite":
            return url
        # The supervisor reads the configuration and stays small: it needs no SQL.
        from sqlalchemy import make_url  # noqa: PLC0415

        return make_url(url).render_as_string(hide_password=True)


class Publish(Section):
    stable_age_seconds: Seconds = 60.0
    after_release_seconds: Seconds = 5.0
    part_bytes: PositiveInt = 64 << 20
    workers: Annotated[int, Field(ge=0)] = 0  # packing processes; 0: as many as the machine has cores
    grant_by: tuple[Literal["user", "department", "institution", "role"], ...] = ("department", "institution")
    lease_seconds: PositiveInt = 120
    interval_seconds: Annotated[float, Field(gt=0)] = 1.0


NodeKind = Literal["folder", "s3"]
NodeKinds = dict[NodeKind, PositiveInt]


class _Copies(Section):
    copies: PositiveInt
    write_quorum: PositiveInt
    sites: PositiveInt
    node_kinds: NodeKinds

    @property
    def rule(self) -> Rule:
        """The rule that the section writes."""
        return Rule(self.copies, self.write_quorum, self.sites, tuple(sorted(self.node_kinds.items())))

    @model_validator(mode="after")
    def _is_a_rule(self) -> Self:
        if self.write_quorum > self.copies:
            raise ValueError("write_quorum cannot exceed copies")
        if self.sites > self.copies:
            raise ValueError("sites cannot exceed copies")
        if sum(self.node_kinds.values()) > self.copies:
            raise ValueError("node_kinds cannot ask for more nodes than there are copies")
        return self


class PlacementRule(_Copies):
    """Copies of some objects; the first entry that matches facility, modality and kind decides."""

    facility: str = "*"  # shell pattern
    modality: frozenset[str] = frozenset()  # empty: any
    kind: Literal["record", "sealed"] | None = None  # absent: both
    copies: PositiveInt
    write_quorum: PositiveInt
    sites: PositiveInt = 1
    node_kinds: NodeKinds = {}


class Placement(_Copies):
    copies: PositiveInt = 3
    write_quorum: PositiveInt = 2
    sites: PositiveInt = 1
    node_kinds: NodeKinds = {}
    rules: tuple[PlacementRule, ...] = ()


class FolderNode(Section):
    kind: Literal["folder"] = "folder"
    name: str
    site: str = "east"
    weight: Annotated[float, Field(gt=0)] = 1.0  # its share of all objects, against the other nodes
    capacity_bytes: PositiveInt | None = None  # it is given no object beyond this; absent: until it is full
    path: Path
    sealed_path: Path | None = None  # where sealed companions lie; absent: beside the node, "-sealed" added


class S3Node(Section):
    kind: Literal["s3"]
    name: str
    site: str = "east"
    weight: Annotated[float, Field(gt=0)] = 1.0
    capacity_bytes: PositiveInt | None = None
    endpoint: str
    region: str = "us-east-1"
    bucket: str
    prefix: str = ""
    access_key: str
    secret_key: SecretStr | None = None
    secret_key_file: Path | None = None
    sealed_bucket: str
    sealed_access_key: str | None = None  # absent: the same credentials (then the operator accepts that)
    sealed_secret_key: SecretStr | None = None
    sealed_secret_key_file: Path | None = None
    conditional_put: bool = False  # the server honours If-None-Match on PUT
    object_lock_days: Annotated[int, Field(ge=0)] = 0  # the buckets were made with S3 Object Lock
    object_lock_mode: Literal["compliance", "governance"] = "compliance"
    ca_file: Path | None = None


def _kind(entry: object) -> object:
    return entry.get("kind", "folder") if isinstance(entry, dict) else getattr(entry, "kind", None)


_KINDS = Discriminator(
    _kind, custom_error_type="unknown_kind", custom_error_message='kind is neither "folder" nor "s3"'
)
NodeEntry = Annotated[Annotated[FolderNode, Tag("folder")] | Annotated[S3Node, Tag("s3")], _KINDS]

EMBEDDED_NODES = (("node-a", "east"), ("node-b", "east"), ("node-c", "west"))
"""Name and site of the folder nodes under the home, where the configuration lists none."""


class Care(Section):
    scrub_days: PositiveInt = 30  # within so many days every copy is read again and hashed
    scrub_bytes_per_second: PositiveInt = 32 << 20
    move_bytes_per_second: PositiveInt = 64 << 20  # of copies on their way to where they belong
    dark_grace_days: PositiveInt = 14  # so long an object stays on a node that the index does not know
    superseded_grace_seconds: PositiveInt = 3600  # so long retired objects stay: readers come to their end
    merge_parts: Annotated[int, Field(ge=0)] = 4  # so many small parts of a series are merged; 0: never
    merge_below_bytes: PositiveInt = 16 << 20  # raw bytes below which a part is small
    merge_quiet_seconds: Seconds = 3600.0  # so long no part of the series was published
    merge_bytes_per_second: PositiveInt = 16 << 20


class Cache(Section):
    max_bytes: PositiveInt = 10 << 30
    free_floor_bytes: Annotated[int, Field(ge=0)] = 256 << 20  # images are refused before the disk is full
    prefetch_bytes: Annotated[int, Field(ge=0)] = 4 << 30  # of records brought near; 0: none


class Keys(Section):
    site_secret_file: Path | None = None
    key_encryption_key_file: Path | None = None
    stores: tuple[Path, ...] = ()
    audit_key_file: Path | None = None  # signs the heads of the audit trail
    grid_key_file: Path | None = None  # signs the grid's own credentials
    grid_jwks_file: Path | None = None  # what doors verify them with


class Backup(Section):
    keep_days: Annotated[int, Field(ge=0)] | None = None  # how long backups of the database are kept
    folder: Path | None = None  # where `dgis backup` writes them
    key_file: Path | None = None  # what opens them


class Cli(Section):
    assertions: AssertionSet | None = None


class DeidProfile(Section):
    profile: Literal["basic"] = "basic"
    options: tuple[str, ...] = ("modified-dates",)
    rules_file: Path | None = None  # a site's own verdict rules, read before the built-in ones


class GrantEntry(Section):
    """A standing grant written by the operator; an empty `who` means every admitted caller."""

    who: AssertionSet = AssertionSet()
    may: frozenset[RightName]
    effect: Literal["allow", "deny"] = "allow"
    facility: str | None = None


class Log(Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["console", "json"] = "console"


class Configuration(BaseSettings):
    """The whole effective configuration; dgis/settings.py says where its values come from."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True)

    gateway: Gateway = Gateway()
    dicom: Dicom = Dicom()
    identity: IdentitySection = IdentitySection()
    web: Web = Web()
    catalog: CatalogDatabase = CatalogDatabase()
    publish: Publish = Publish()
    commitment: Commitment = Commitment()
    placement: Placement = Placement()
    nodes: tuple[NodeEntry, ...] = ()
    care: Care = Care()
    cache: Cache = Cache()
    keys: Keys = Keys()
    audit: AuditSection = AuditSection()
    backup: Backup = Backup()
    retention: RetentionSection = RetentionSection()
    quotas: tuple[Quota, ...] = ()
    cli: Cli = Cli()
    deid: DeidProfile = DeidProfile()
    grants: tuple[GrantEntry, ...] = (GrantEntry(may=frozenset({"find", "retrieve"})),)
    log: Log = Log()
    traces: Traces = Traces()
    failpoints: str = ""  # tests only: dgis/failpoints.py

    @model_validator(mode="after")
    def _nodes_carry_the_placement(self) -> Self:
        names = [node.name for node in self.nodes]
        if len(set(names)) != len(names):
            raise ValueError("two nodes have the same name")
        places = [Place(node.name, node.site, node.kind) for node in self.nodes] or [
            Place(name, site) for name, site in EMBEDDED_NODES
        ]
        rules = {f"placement.rules.{n}": each.rule for n, each in enumerate(self.placement.rules)}
        for where, rule in {"placement": self.placement.rule, **rules}.items():
            why = why_impossible(rule, places)
            if why is not None:
                raise ValueError(f"{where}: {why}")
        return self
