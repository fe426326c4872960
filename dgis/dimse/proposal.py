"""What two peers say about an association before it exists (PS3.8 9.3.2, 9.3.3; PS3.7 annex D), as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from dgis.dimse.uids import APPLICATION_CONTEXT, IMPLEMENTATION_CLASS, IMPLEMENTATION_VERSION


class ContextOutcome(IntEnum):
    """PS3.8 table 9-18, result of one presentation context."""

    ACCEPTED = 0
    USER_REJECTION = 1
    NO_REASON = 2
    ABSTRACT_SYNTAX_NOT_SUPPORTED = 3
    TRANSFER_SYNTAXES_NOT_SUPPORTED = 4


class Roles(NamedTuple):
    """SCP/SCU role selection of one SOP class, from the requestor's side (PS3.7 D.3.3.4)."""

    scu: bool
    scp: bool


@dataclass(frozen=True, slots=True)
class ProposedContext:
    """One presentation context as proposed: odd ID 1 to 255, abstract syntax, transfer syntaxes in order."""

    context_id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ContextResult:
    """The answer to one proposed presentation context; the transfer syntax counts only when accepted."""

    context_id: int
    outcome: int
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class UserIdentity:
    """User identity negotiation, PS3.7 D.3.3.7: 1 name, 2 name and passcode, 3 Kerberos, 4 SAML, 5 JWT."""

    kind: int
    primary: bytes = field(repr=False)
    secondary: bytes = field(default=b"", repr=False)
    response_requested: bool = False


@dataclass(frozen=True, slots=True)
class AssociateRequest:
    """An A-ASSOCIATE-RQ; an AE title that is none (PS3.5 6.2) is None."""

    called_ae: str | None
    calling_ae: str | None
    contexts: tuple[ProposedContext, ...]
    max_pdu_bytes: int = 0  # 0: no limit, PS3.8 D.1
    application_context: str = APPLICATION_CONTEXT
    protocol_version: int = 1
    implementation_class: str = IMPLEMENTATION_CLASS
    implementation_version: str = IMPLEMENTATION_VERSION
    roles: Mapping[str, Roles] = field(default_factory=dict)
    extended: Mapping[str, bytes] = field(default_factory=dict)
    identity: UserIdentity | None = None
    asynchronous: bool = False  # an asynchronous operations window was proposed
    echo: bytes = field(default=bytes(64), repr=False)  # titles and reserved bytes, sent back as they came


@dataclass(frozen=True, slots=True)
class AssociateAccept:
    """An A-ASSOCIATE-AC."""

    results: tuple[ContextResult, ...]
    max_pdu_bytes: int = 0
    implementation_class: str = IMPLEMENTATION_CLASS
    implementation_version: str = IMPLEMENTATION_VERSION
    roles: Mapping[str, Roles] = field(default_factory=dict)
    extended: Mapping[str, bytes] = field(default_factory=dict)
    identity_response: bytes | None = field(default=None, repr=False)
    asynchronous: bool = False
    echo: bytes = field(default=bytes(64), repr=False)


@dataclass(frozen=True, slots=True)
class AgreedContext:
    """A presentation context that both sides accepted, and which side of it we may take."""

    context_id: int
    abstract_syntax: str
    transfer_syntax: str
    as_scp: bool = True
    as_scu: bool = False


def parse_ae_title(raw: bytes) -> str | None:
    """Read an AE title: 1 to 16 printable ASCII characters, no backslash, blanks around it dropped.

    PS3.5 6.2; trailing NUL padding is let pass, as old peers pad so.
    """
    text = raw.rstrip(b"\0").strip(b" ")
    if not text or not all(0x20 <= byte < 0x7F and byte != 0x5C for byte in text):  # noqa: PLR2004 (printable ASCII)
        return None
    return text.decode("ascii")
