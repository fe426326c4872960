"""The acceptor's side of presentation context, role and extended negotiation, as a pure function.

PS3.8 7.1.1.13 and annex B; PS3.7 D.3; PS3.4 B.3.1, C.5. pynetdicom's negotiation wants a list of every
abstract syntax beforehand, which private storage classes do not have, and decides by our order, not theirs.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from dgis.dimse.pdu import (
    APPLICATION_CONTEXT_NOT_SUPPORTED,
    CALLED_AE_NOT_RECOGNIZED,
    CALLING_AE_NOT_RECOGNIZED,
    NO_REASON,
    PROTOCOL_VERSION_NOT_SUPPORTED,
    Rejection,
)
from dgis.dimse.proposal import (
    AgreedContext,
    AssociateAccept,
    AssociateRequest,
    ContextOutcome,
    ContextResult,
    ProposedContext,
    Roles,
)
from dgis.dimse.sop_classes import Operation, Service, service_of, takes_syntax
from dgis.dimse.uids import APPLICATION_CONTEXT, IMPLICIT_LE

_DEFAULT_ROLES = Roles(scu=True, scp=False)  # of the requestor, PS3.7 D.3.3.4

# PS3.4 B.3.1: level 2 (full), signatures kept because every byte is (level 3), nothing coerced.
_STORAGE_SUPPORT = bytes((2, 0, 3, 0, 0, 0))
# PS3.4 C.5.1.1: relational queries, combined date-time, fuzzy names, zone adjustment, multi-frame conversion.
_FIND_SUPPORT = bytes((1, 1, 1, 0, 0))
# PS3.4 C.5.2.1: relational retrieval, multi-frame conversion.
_RETRIEVE_SUPPORT = bytes((1, 0))
_SUPPORT = {
    Operation.STORE: _STORAGE_SUPPORT,
    Operation.FIND: _FIND_SUPPORT,
    Operation.MOVE: _RETRIEVE_SUPPORT,
    Operation.GET: _RETRIEVE_SUPPORT,
}
_STATEMENTS = frozenset({Operation.STORE})  # answered with what we are; the others with what both want


@dataclass(frozen=True, slots=True)
class Agreement:
    """What was agreed with a requestor."""

    results: tuple[ContextResult, ...]
    contexts: Mapping[int, AgreedContext]
    roles: Mapping[str, Roles]
    extended: Mapping[str, bytes]

    def answer(
        self, request: AssociateRequest, max_pdu_bytes: int, identity_response: bytes | None
    ) -> AssociateAccept:
        """Build the A-ASSOCIATE-AC; the identity response is sent only where it was asked for."""
        wanted = request.identity is not None and request.identity.response_requested
        return AssociateAccept(
            results=self.results,
            max_pdu_bytes=max_pdu_bytes,
            roles=self.roles,
            extended=self.extended,
            identity_response=(identity_response or b"") if wanted else None,
            asynchronous=request.asynchronous,
            echo=request.echo,
        )


def refuse_outright(request: AssociateRequest, smallest_pdu_bytes: int) -> Rejection | None:
    """Return why a request cannot be accepted whoever sends it, or None."""
    if not request.protocol_version & 1:
        return PROTOCOL_VERSION_NOT_SUPPORTED
    if request.application_context != APPLICATION_CONTEXT:
        return APPLICATION_CONTEXT_NOT_SUPPORTED
    if request.calling_ae is None:
        return CALLING_AE_NOT_RECOGNIZED
    if request.called_ae is None:
        return CALLED_AE_NOT_RECOGNIZED
    if 0 < request.max_pdu_bytes < smallest_pdu_bytes:
        return NO_REASON
    return None


def negotiate(request: AssociateRequest) -> Agreement:
    """Answer every proposed context; transfer syntaxes are taken in the requestor's order."""
    roles = {uid: _agreed_roles(uid, asked) for uid, asked in request.roles.items() if service_of(uid)}
    results: list[ContextResult] = []
    contexts: dict[int, AgreedContext] = {}
    for proposed in request.contexts:
        result = _judge(proposed)
        results.append(result)
        if result.outcome == ContextOutcome.ACCEPTED:
            theirs = roles.get(proposed.abstract_syntax, _DEFAULT_ROLES)
            contexts[proposed.context_id] = AgreedContext(
                proposed.context_id,
                proposed.abstract_syntax,
                result.transfer_syntax,
                as_scp=theirs.scu,
                as_scu=theirs.scp,
            )
    return Agreement(tuple(results), contexts, roles, _extended(request.extended))


def relational(information: bytes) -> bool:
    """Read what was agreed in the first byte of a query class (PS3.4 C.5.1.1, C.5.2.1)."""
    return information[:1] == b"\1"


def combined_datetime(information: bytes) -> bool:
    """Read what was agreed in the second byte of a C-FIND class (PS3.4 C.5.1.1)."""
    return information[1:2] == b"\1"


def fuzzy(information: bytes) -> bool:
    """Read what was agreed in the third byte of a C-FIND class (PS3.4 C.5.1.1)."""
    return information[2:3] == b"\1"


def _judge(proposed: ProposedContext) -> ContextResult:
    service = service_of(proposed.abstract_syntax)
    if service is None:
        outcome = ContextOutcome.ABSTRACT_SYNTAX_NOT_SUPPORTED
        return ContextResult(proposed.context_id, outcome, IMPLICIT_LE)
    for syntax in proposed.transfer_syntaxes:
        if takes_syntax(service, syntax):
            return ContextResult(proposed.context_id, ContextOutcome.ACCEPTED, syntax)
    outcome = ContextOutcome.TRANSFER_SYNTAXES_NOT_SUPPORTED
    return ContextResult(proposed.context_id, outcome, IMPLICIT_LE)


def _agreed_roles(uid: str, asked: Roles) -> Roles:
    """A requestor may be SCP of storage classes only: that is how C-GET sends to it."""
    service: Service | None = service_of(uid)
    return Roles(asked.scu, asked.scp and service is not None and service.operation is Operation.STORE)


def _extended(asked: Mapping[str, bytes]) -> dict[str, bytes]:
    answers: dict[str, bytes] = {}
    for uid, information in asked.items():
        service = service_of(uid)
        support = _SUPPORT.get(service.operation) if service else None
        if service is None or support is None:
            continue
        if service.operation in _STATEMENTS:
            answers[uid] = support
        else:  # no longer than it was asked: a byte that was not sent was not asked for
            both = zip(support, information, strict=False)
            answers[uid] = bytes(ours & theirs & 1 for ours, theirs in both)
    return answers
