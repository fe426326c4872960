"""Opening an association as requestor (PS3.8 7.1): connect, propose, read what was agreed."""

import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from dgis.dimse.association import Association
from dgis.dimse.endings import AssociationEndedError, Ending, EndingKind
from dgis.dimse.limits import Limits
from dgis.dimse.proposal import (
    AgreedContext,
    AssociateAccept,
    AssociateRequest,
    ContextOutcome,
    ProposedContext,
    Roles,
    UserIdentity,
)
from dgis.dimse.states import Role
from dgis.dimse.transport import transport_of
from dgis.dimse.upper_layer import UpperLayer
from dgis.dimse.wire import Wire

MOST_CONTEXTS = 128  # odd IDs 1 to 255, PS3.8 9.3.2.2


class Proposal(NamedTuple):
    """One presentation context to propose; its ID follows from its place."""

    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TlsTo:
    """How TLS is spoken to somebody: `context` reads certificates anew (OSError), `name` is in theirs."""

    context: Callable[[], ssl.SSLContext]
    name: str


@dataclass(frozen=True, slots=True)
class Party:
    """Whom to call, and as whom; where there is `tls`, over that."""

    host: str
    port: int
    called_ae: str
    calling_ae: str
    tls: TlsTo | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """What is proposed beside the presentation contexts."""

    roles: Mapping[str, Roles] = field(default_factory=dict)
    extended: Mapping[str, bytes] = field(default_factory=dict)
    identity: UserIdentity | None = None
    tls: ssl.SSLContext | None = None


def open_association(
    party: Party, proposals: Sequence[Proposal], limits: Limits, terms: Terms | None = None
) -> tuple[Association, AssociateAccept]:
    """Connect and associate.

    Args:
        party: whom to call, and as whom.
        proposals: at most 128 presentation contexts.
        limits: sizes and times of this association.
        terms: roles, extended negotiation, user identity and TLS.

    Returns:
        The association and the acceptor's answer.

    Raises:
        AssociationEndedError: not connected, rejected, or no answer.
        ValueError: more proposals than an association holds.
    """
    if len(proposals) > MOST_CONTEXTS:
        raise ValueError(f"{len(proposals)} presentation contexts")
    terms = terms or Terms()
    contexts = tuple(
        ProposedContext(2 * place + 1, proposal.abstract_syntax, proposal.transfer_syntaxes)
        for place, proposal in enumerate(proposals)
    )
    request = AssociateRequest(
        called_ae=party.called_ae,
        calling_ae=party.calling_ae,
        contexts=contexts,
        max_pdu_bytes=limits.max_pdu_bytes,
        roles=terms.roles,
        extended=terms.extended,
        identity=terms.identity,
    )
    wire = Wire(transport_of(_connected(party, limits, terms.tls), limits.tick_seconds), limits)
    upper = UpperLayer(wire, Role.REQUESTOR, limits)
    try:
        accept = upper.request(request)
    except BaseException:
        upper.close()
        raise
    agreed = _agreed(contexts, accept)
    return Association(upper, wire, agreed, accept.max_pdu_bytes, limits), accept


def _connected(party: Party, limits: Limits, tls: ssl.SSLContext | None) -> socket.socket:
    try:
        connected = socket.create_connection((party.host, party.port), timeout=limits.connect_seconds)
    except OSError as error:
        raise AssociationEndedError(Ending(EndingKind.UNREACHABLE, type(error).__name__)) from error
    if tls is None and party.tls is None:
        return connected
    name = party.host if party.tls is None else party.tls.name
    try:
        context = tls or (party.tls.context() if party.tls else None)
        assert context is not None, "one of both is there"
        return context.wrap_socket(connected, server_hostname=name)
    except OSError as error:
        connected.close()
        raise AssociationEndedError(Ending(EndingKind.UNREACHABLE, type(error).__name__)) from error


def _agreed(contexts: Sequence[ProposedContext], accept: AssociateAccept) -> dict[int, AgreedContext]:
    """Match answers with proposals; answers to nothing, or with a syntax nobody proposed, do not count."""
    proposed = {context.context_id: context for context in contexts}
    agreed: dict[int, AgreedContext] = {}
    for result in accept.results:
        context = proposed.get(result.context_id)
        if context is None or result.outcome != ContextOutcome.ACCEPTED:
            continue
        if result.transfer_syntax not in context.transfer_syntaxes:
            continue
        ours = accept.roles.get(context.abstract_syntax, Roles(scu=True, scp=False))
        agreed[result.context_id] = AgreedContext(
            result.context_id,
            context.abstract_syntax,
            result.transfer_syntax,
            as_scp=ours.scp,
            as_scu=ours.scu,
        )
    return agreed
