"""A-ASSOCIATE-RQ and -AC on the wire, PS3.8 9.3.2 and 9.3.3.

pynetdicom's codec is not used here: it stops at items it does not know (which must be ignored, PS3.7 D.3.3),
copies refused values into warnings, and takes 22 ms for 128 contexts. The tests compare the two.
"""

from struct import Struct
from types import MappingProxyType

from dgis.dimse.items import Item, encode_item, items, text
from dgis.dimse.pdu import HEADER, MalformedPduError, PduType
from dgis.dimse.proposal import (
    AssociateAccept,
    AssociateRequest,
    ContextResult,
    ProposedContext,
    parse_ae_title,
)
from dgis.dimse.user_information import UserInformation, encode_user_information

_VERSION = Struct(">H")
_FIXED_BYTES = 68  # protocol version, reserved, two AE titles, 32 reserved bytes
_MOST_SYNTAXES = 256  # the standard has some sixty
_CONTEXT_FIXED_BYTES = 4  # context ID, reserved, result, reserved


def decode_request(body: memoryview) -> AssociateRequest:
    """Read the body of an A-ASSOCIATE-RQ (after its six header bytes).

    Raises:
        MalformedPduError: lengths that do not fit, context IDs that are even or used twice.
    """
    _check_fixed_part(body)
    application_context = ""
    contexts: dict[int, ProposedContext] = {}
    user = UserInformation()
    for kind, value in items(body[_FIXED_BYTES:]):
        if kind == Item.APPLICATION_CONTEXT:
            application_context = text(value)
        elif kind == Item.CONTEXT_RQ:
            context = _proposed(value)
            if context.context_id in contexts:
                raise MalformedPduError("presentation context ID used twice")
            contexts[context.context_id] = context
        elif kind == Item.USER_INFORMATION:
            user.read(value)
    return AssociateRequest(
        called_ae=parse_ae_title(bytes(body[4:20])),
        calling_ae=parse_ae_title(bytes(body[20:36])),
        contexts=tuple(contexts.values()),
        max_pdu_bytes=user.max_pdu_bytes,
        application_context=application_context,
        protocol_version=_VERSION.unpack_from(body)[0],
        implementation_class=user.implementation_class,
        implementation_version=user.implementation_version,
        roles=MappingProxyType(user.roles),
        extended=MappingProxyType(user.extended),
        identity=user.identity,
        asynchronous=user.asynchronous,
        echo=bytes(body[4:_FIXED_BYTES]),
    )


def decode_accept(body: memoryview) -> AssociateAccept:
    """Read the body of an A-ASSOCIATE-AC.

    Raises:
        MalformedPduError: lengths that do not fit.
    """
    _check_fixed_part(body)
    results: list[ContextResult] = []
    user = UserInformation()
    for kind, value in items(body[_FIXED_BYTES:]):
        if kind == Item.CONTEXT_AC:
            results.append(_result(value))
        elif kind == Item.USER_INFORMATION:
            user.read(value)
    return AssociateAccept(
        results=tuple(results),
        max_pdu_bytes=user.max_pdu_bytes,
        implementation_class=user.implementation_class,
        implementation_version=user.implementation_version,
        roles=MappingProxyType(user.roles),
        extended=MappingProxyType(user.extended),
        identity_response=user.identity_response,
        asynchronous=user.asynchronous,
        echo=bytes(body[4:_FIXED_BYTES]),
    )


def encode_request(request: AssociateRequest) -> bytes:
    """Return an A-ASSOCIATE-RQ PDU."""
    contexts = b"".join(_encode_proposed(context) for context in request.contexts)
    titles = _ae_field(request.called_ae) + _ae_field(request.calling_ae) + bytes(32)
    user = encode_user_information(request)
    return _encode(PduType.ASSOCIATE_RQ, titles, request.application_context, contexts + user)


def encode_accept(accept: AssociateAccept, application_context: str) -> bytes:
    """Return an A-ASSOCIATE-AC PDU."""
    results = b"".join(
        encode_item(
            Item.CONTEXT_AC,
            bytes((result.context_id, 0, result.outcome, 0))
            + encode_item(Item.TRANSFER_SYNTAX, result.transfer_syntax.encode("ascii")),
        )
        for result in accept.results
    )
    user = encode_user_information(accept)
    return _encode(PduType.ASSOCIATE_AC, accept.echo, application_context, results + user)


def _encode(kind: PduType, titles: bytes, application_context: str, rest: bytes) -> bytes:
    application = encode_item(Item.APPLICATION_CONTEXT, application_context.encode("ascii"))
    body = b"\0\1\0\0" + titles + application + rest
    return HEADER.pack(kind, 0, len(body)) + body


def _check_fixed_part(body: memoryview) -> None:
    if len(body) < _FIXED_BYTES:
        raise MalformedPduError(f"A-ASSOCIATE PDU of {len(body)} bytes")


def _proposed(value: memoryview) -> ProposedContext:
    context_id = _context_id(value)
    abstract, transfer = "", []
    for kind, sub in items(value[_CONTEXT_FIXED_BYTES:]):
        if kind == Item.ABSTRACT_SYNTAX:
            abstract = text(sub)
        elif kind == Item.TRANSFER_SYNTAX:
            transfer.append(text(sub))
        if len(transfer) > _MOST_SYNTAXES:
            raise MalformedPduError(f"more than {_MOST_SYNTAXES} transfer syntaxes in a context")
    return ProposedContext(context_id, abstract, tuple(transfer))


def _encode_proposed(context: ProposedContext) -> bytes:
    syntaxes = encode_item(Item.ABSTRACT_SYNTAX, context.abstract_syntax.encode("ascii")) + b"".join(
        encode_item(Item.TRANSFER_SYNTAX, uid.encode("ascii")) for uid in context.transfer_syntaxes
    )
    return encode_item(Item.CONTEXT_RQ, bytes((context.context_id, 0, 0, 0)) + syntaxes)


def _result(value: memoryview) -> ContextResult:
    context_id = _context_id(value)
    subs = items(value[_CONTEXT_FIXED_BYTES:])
    transfer = [text(sub) for kind, sub in subs if kind == Item.TRANSFER_SYNTAX]
    return ContextResult(context_id, value[2], transfer[0] if transfer else "")


def _context_id(value: memoryview) -> int:
    if len(value) < _CONTEXT_FIXED_BYTES:
        raise MalformedPduError("presentation context item too short")
    if value[0] % 2 == 0:
        raise MalformedPduError("presentation context ID is even")
    return value[0]


def _ae_field(title: str | None) -> bytes:
    return (title or "").encode("ascii").ljust(16)[:16]
