"""Whatever bytes come: the codecs refuse with their own errors, and the door goes on serving."""

import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.query import Root
from dgis.dimse.associate import decode_accept, decode_request, encode_accept, encode_request
from dgis.dimse.commands import Command, MalformedCommandError, decode_command, encode_command
from dgis.dimse.fragments import data_pdus
from dgis.dimse.identifier import Identifier, read_identifier
from dgis.dimse.identify import Identity, identify
from dgis.dimse.negotiation import negotiate, refuse_outright
from dgis.dimse.pdu import MalformedPduError
from dgis.dimse.proposal import AssociateRequest, ProposedContext, Roles, UserIdentity
from dgis.dimse.status import Refusal
from dgis.dimse.uids import APPLICATION_CONTEXT, DEFLATED_LE, EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE
from tests.unit.dgis.dimse.fakes import SLOW_ENOUGH, Archive, serving
from tests.unit.dgis.dimse.parrot import (
    CT_CONTEXT,
    ECHO_CONTEXT,
    Parrot,
    command,
    data_set,
    echo_command,
    parrot,
    pdata,
    request,
    store_command,
)

SYNTAXES = st.sampled_from([IMPLICIT_LE, EXPLICIT_LE, EXPLICIT_BE, DEFLATED_LE, "1.2.3"])
UIDS = st.lists(st.integers(0, 10**6), min_size=1, max_size=6).map(lambda parts: ".".join(map(str, parts)))
FIELDS = st.binary(max_size=99)
REQUESTS = st.builds(
    AssociateRequest,
    called_ae=st.just("DGIS"),
    calling_ae=st.text("ABC", min_size=1, max_size=16),
    contexts=st.lists(
        st.tuples(st.integers(0, 127).map(lambda number: 2 * number + 1), UIDS, st.lists(UIDS, max_size=4)),
        max_size=20,
        unique_by=lambda context: context[0],
    ).map(lambda rows: tuple(ProposedContext(key, uid, tuple(many)) for key, uid, many in rows)),
    max_pdu_bytes=st.integers(0, 0xFFFFFFFF),
    roles=st.dictionaries(UIDS, st.builds(Roles, st.booleans(), st.booleans()), max_size=4),
    extended=st.dictionaries(UIDS, st.binary(max_size=8), max_size=4),
    identity=st.none()
    | st.builds(
        UserIdentity, st.integers(1, 5), st.binary(max_size=99), st.binary(max_size=99), st.booleans()
    ),
    asynchronous=st.booleans(),
)
GOOD = {
    "request": encode_request(request(ECHO_CONTEXT, CT_CONTEXT)),
    "echo": command(1, echo_command()),
    "store": command(3, store_command("1.2.3.4")) + pdata(3, 2, data_set()),
}
HARD = settings(max_examples=200, deadline=None)


def damaged(good: bytes):
    """Strategy: the bytes with a few of them replaced, cut, doubled or followed by others."""
    places = st.integers(0, len(good) - 1)
    return st.tuples(
        st.lists(st.tuples(places, st.integers(0, 255)), max_size=6),
        places,
        st.binary(max_size=40),
        st.booleans(),
    ).map(lambda plan: _damage(good, *plan))


def _damage(good: bytes, edits, cut: int, more: bytes, is_cut: bool) -> bytes:  # noqa: FBT001 - drawn by hypothesis
    changed = bytearray(good)
    for place, value in edits:
        changed[place] = value
    return bytes(changed[:cut] if is_cut else changed) + more


@HARD
@given(st.binary(max_size=400) | damaged(GOOD["request"][6:]))
def test_associate_bodies_decode_or_are_malformed(body):
    for decode in (decode_request, decode_accept):
        try:
            read = decode(memoryview(body))
        except MalformedPduError:
            continue
        if isinstance(read, AssociateRequest):
            refuse_outright(read, 64)
            answer = negotiate(read).answer(read, 131_072, None)
            again = decode_accept(memoryview(encode_accept(answer, APPLICATION_CONTEXT))[6:])
            assert again.results == answer.results


@HARD
@given(REQUESTS)
def test_requests_come_back_as_they_were(proposed):
    read = decode_request(memoryview(encode_request(proposed))[6:])
    assert read.contexts == proposed.contexts
    assert read.identity == proposed.identity
    assert dict(read.roles) == proposed.roles
    assert dict(read.extended) == proposed.extended
    assert read.max_pdu_bytes == proposed.max_pdu_bytes


@HARD
@given(st.binary(max_size=300) | damaged(encode_command(store_command("1.2.3.4"))))
def test_command_sets_decode_or_are_malformed(data):
    try:
        read = decode_command(data)
    except MalformedCommandError:
        return
    assert isinstance(read, Command)
    encode_command(read)


@HARD
@given(st.lists(st.binary(max_size=300), max_size=12), st.integers(64, 300))
def test_fragments_put_together_are_the_data(chunks, most):
    stream = b"".join(part for pdu in data_pdus(9, 0, chunks, most) for part in pdu)
    payload, last = b"", []
    while stream:
        _, _, length, _, _, control = struct.unpack_from(">BBIIBB", stream)
        assert length <= most
        payload, stream = payload + stream[12 : 6 + length], stream[6 + length :]
        last.append(bool(control & 2))
    assert payload == b"".join(chunks)
    assert last == [False] * (len(last) - 1) + [True]


@HARD
@given(st.binary(max_size=300) | damaged(data_set()), SYNTAXES, st.booleans())
def test_whatever_a_data_set_holds_it_is_identified_or_refused(data, syntax, whole):
    found = identify(data, syntax, whole=whole)
    assert isinstance(found, (Identity, Refusal)) or (found is None and not whole)


@HARD
@given(st.binary(max_size=300) | damaged(data_set()), SYNTAXES, st.sampled_from(Root))
def test_whatever_an_identifier_holds_it_is_read_or_refused(data, syntax, root):
    assert isinstance(read_identifier(data, syntax, root, 1 << 20), (Identifier, Refusal))


@pytest.fixture(scope="module")
def port():
    with serving(Archive(), SLOW_ENOUGH) as number:
        yield number


@pytest.mark.parametrize("message", ["request", "echo", "store"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_the_door_outlives_damaged_messages(port, message, data):
    bytes_said = data.draw(damaged(GOOD[message]))
    with parrot(port) as bird:
        if message != "request":
            bird.associate(ECHO_CONTEXT, CT_CONTEXT)
        bird.say(bytes_said)
        bird.socket.shutdown(1)
        while bird.hear()[0]:
            pass
    good = Parrot(port)
    try:
        assert good.echoes()
    finally:
        good.close()
