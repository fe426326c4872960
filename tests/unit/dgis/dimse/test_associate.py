import pytest
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ

from dgis.dimse.associate import decode_accept, decode_request, encode_accept, encode_request
from dgis.dimse.items import Item, encode_item
from dgis.dimse.pdu import HEADER, MalformedPduError
from dgis.dimse.proposal import (
    AssociateAccept,
    AssociateRequest,
    ContextResult,
    ProposedContext,
    Roles,
    UserIdentity,
    parse_ae_title,
)
from dgis.dimse.uids import APPLICATION_CONTEXT, EXPLICIT_LE, IMPLICIT_LE, VERIFICATION
from tests.unit.dgis.dimse.parrot import CT

REQUEST = AssociateRequest(
    called_ae="DGIS",
    calling_ae="SENDER",
    contexts=(
        ProposedContext(1, VERIFICATION, (IMPLICIT_LE,)),
        ProposedContext(255, CT, (EXPLICIT_LE, IMPLICIT_LE, "1.2.840.10008.1.2.4.70")),
    ),
    max_pdu_bytes=16_384,
    roles={CT: Roles(scu=True, scp=True)},
    extended={"1.2.840.10008.5.1.4.1.2.2.1": b"\1\1\0"},
    identity=UserIdentity(2, b"name", b"secret", response_requested=True),
    asynchronous=True,
)
ACCEPT = AssociateAccept(
    results=(ContextResult(1, 0, IMPLICIT_LE), ContextResult(255, 4, IMPLICIT_LE)),
    max_pdu_bytes=131_072,
    roles={CT: Roles(scu=True, scp=False)},
    extended={"1.2.840.10008.5.1.4.1.2.2.1": b"\1\1\0"},
    identity_response=b"ticket",
    asynchronous=True,
)


def body(pdu: bytes) -> memoryview:
    return memoryview(pdu)[HEADER.size :]


def test_a_request_comes_back_as_it_was():
    read = decode_request(body(encode_request(REQUEST)))
    for name in ("called_ae", "calling_ae", "contexts", "max_pdu_bytes", "identity", "asynchronous"):
        assert getattr(read, name) == getattr(REQUEST, name)
    assert dict(read.roles) == REQUEST.roles
    assert dict(read.extended) == REQUEST.extended


def test_an_accept_comes_back_as_it_was():
    read = decode_accept(body(encode_accept(ACCEPT, APPLICATION_CONTEXT)))
    for name in ("results", "max_pdu_bytes", "identity_response", "asynchronous", "echo"):
        assert getattr(read, name) == getattr(ACCEPT, name)
    assert dict(read.roles) == ACCEPT.roles


def test_another_implementation_reads_our_request_the_same():
    other = A_ASSOCIATE_RQ()
    other.decode(encode_request(REQUEST))
    assert other.called_ae_title == "DGIS"
    assert other.calling_ae_title == "SENDER"
    assert [context.context_id for context in other.presentation_context] == [1, 255]
    assert other.presentation_context[1].transfer_syntax == list(REQUEST.contexts[1].transfer_syntaxes)
    information = other.user_information
    assert information.maximum_length == REQUEST.max_pdu_bytes
    assert information.user_identity.secondary_field == b"secret"
    assert information.role_selection[CT].scp_role == 1
    assert information.async_ops_window.maximum_number_operations_invoked == 1
    assert other.encode() == encode_request(REQUEST)


def test_another_implementation_reads_our_accept_the_same():
    other = A_ASSOCIATE_AC()
    other.decode(encode_accept(ACCEPT, APPLICATION_CONTEXT))
    assert [context.result for context in other.presentation_context] == [0, 4]
    assert other.user_information.maximum_length == ACCEPT.max_pdu_bytes
    assert other.user_information.user_identity.server_response == b"ticket"


def test_items_nobody_knows_are_passed_over():
    pdu = encode_request(REQUEST)
    strange = pdu + b"\x7e\0\0\3abc"
    assert decode_request(body(strange)).contexts == REQUEST.contexts


@pytest.mark.parametrize(
    "damage",
    [
        lambda pdu: pdu[:40],
        lambda pdu: pdu[:-1],
        lambda pdu: pdu + b"\x20\0\xff\xff",
        lambda pdu: pdu + encode_item(Item.CONTEXT_RQ, b"\2\0\0\0"),
        lambda pdu: pdu + encode_item(Item.CONTEXT_RQ, b"\1\0\0\0"),
        lambda pdu: pdu + encode_item(Item.CONTEXT_RQ, b"\3"),
        lambda pdu: pdu + encode_item(Item.USER_INFORMATION, encode_item(Item.MAXIMUM_LENGTH, b"\1")),
        lambda pdu: pdu + encode_item(Item.USER_INFORMATION, encode_item(Item.ROLE_SELECTION, b"\0\0")),
        lambda pdu: pdu + encode_item(Item.USER_INFORMATION, encode_item(Item.IDENTITY_RQ, b"\1\0\xff\xff")),
    ],
    ids=["short", "cut", "overlong", "even", "twice", "tiny", "number", "roles", "identity"],
)
def test_lengths_that_do_not_fit_are_malformed(damage):
    with pytest.raises(MalformedPduError):
        decode_request(body(damage(encode_request(REQUEST))))


def test_what_was_refused_tells_nothing_of_its_content():
    secret = encode_item(Item.USER_INFORMATION, encode_item(Item.IDENTITY_RQ, b"\1\0\xff\xffCanary"))
    with pytest.raises(MalformedPduError) as raised:
        decode_request(body(encode_request(REQUEST) + secret))
    assert "Canary" not in str(raised.value)
    assert "secret" not in repr(REQUEST)
    assert "ticket" not in repr(ACCEPT)


@pytest.mark.parametrize(
    ("raw", "title"),
    [
        (b"STORESCU        ", "STORESCU"),
        (b"  PADDED\0\0", "PADDED"),
        (b"IN SIDE         ", "IN SIDE"),
        (b"                ", None),
        (b"\0" * 16, None),
        (b"A\0B             ", None),
        (b"\x1b[31mRED       ", None),
        (b"..\\..\\x         ", None),
        ("Ärzte".encode(), None),
    ],
)
def test_ae_titles(raw, title):
    assert parse_ae_title(raw) == title
