import pytest
from pydicom.uid import UID_dictionary
from pynetdicom.sop_class import _QR_CLASSES, _STORAGE_CLASSES

from dgis.dimse import pdu
from dgis.dimse.negotiation import combined_datetime, fuzzy, negotiate, refuse_outright, relational
from dgis.dimse.proposal import ProposedContext, Roles, UserIdentity
from dgis.dimse.sop_classes import REFERENCED_PIXEL_SYNTAXES, Operation, service_of
from dgis.dimse.uids import DEFLATED_LE, EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE, VERIFICATION
from tests.unit.dgis.dimse.parrot import CT, request

JPEG_2000, PRIVATE = "1.2.840.10008.1.2.4.90", "1.2.826.0.1.3680043.2.1.9"
FIND = "1.2.840.10008.5.1.4.1.2.2.1"
MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
STORAGE_ROOT = "1.2.840.10008.5.1.4.1.1."


def outcome(abstract: str, *syntaxes: str):
    return negotiate(request(ProposedContext(1, abstract, syntaxes))).results[0]


@pytest.mark.parametrize("uid", sorted(_STORAGE_CLASSES.values()))
def test_every_storage_class_is_accepted(uid):
    assert outcome(uid, JPEG_2000).outcome == 0


def test_every_storage_class_of_the_dictionary_is_accepted_retired_ones_too():
    named = {
        uid for uid, entry in UID_dictionary.items() if uid.startswith(STORAGE_ROOT) and "Storage" in entry[0]
    }
    assert len(named) > 190
    assert {uid for uid in named if service_of(uid) is None} == set()


@pytest.mark.parametrize("uid", [PRIVATE, "2.25.1", STORAGE_ROOT + "9999.1"])
def test_private_and_future_classes_are_kept_as_sent(uid):
    assert outcome(uid, PRIVATE + ".1").outcome == 0


@pytest.mark.parametrize(
    "uid",
    [
        "1.2.840.10008.1.3.10",  # DICOMDIR
        "1.2.840.10008.5.1.4.39.1",  # colour palette: has no patient
        "1.2.840.10008.5.1.4.1.1.201.2",  # Inventory - FIND, although it stands among the storage classes
        "1.2.840.10008.5.1.4.31",  # worklist
        "1.2.840.10008.5.1.4.1.2.3.1",  # Patient/Study Only, retired
        "",
        "../../etc",
        "1.2.3\x00",
        "1" * 65,
    ],
)
def test_what_is_no_storage_class_is_not(uid):
    assert outcome(uid, IMPLICIT_LE).outcome == 3


def test_both_roots_are_served_in_all_three_operations():
    served = {
        (service_of(uid).operation, service_of(uid).root) for uid in _QR_CLASSES.values() if service_of(uid)
    }
    assert len(served) == 6


def test_the_requestors_order_decides():
    assert outcome(CT, JPEG_2000, EXPLICIT_LE).transfer_syntax == JPEG_2000
    assert outcome(CT, IMPLICIT_LE, EXPLICIT_LE).transfer_syntax == IMPLICIT_LE
    assert outcome(VERIFICATION, JPEG_2000, EXPLICIT_BE).transfer_syntax == EXPLICIT_BE


@pytest.mark.parametrize("syntax", sorted(REFERENCED_PIXEL_SYNTAXES))
def test_pixels_that_are_elsewhere_are_refused(syntax):
    assert UID_dictionary[syntax][1] == "Transfer Syntax"
    assert outcome(CT, syntax).outcome == 4
    assert outcome(CT, syntax, EXPLICIT_LE).transfer_syntax == EXPLICIT_LE


def test_the_dictionary_knows_no_other_referenced_syntax():
    words = ("JPIP", "SMPTE")
    named = {
        uid
        for uid, entry in UID_dictionary.items()
        if entry[1] == "Transfer Syntax" and entry[0].startswith(words)
    }
    assert named == REFERENCED_PIXEL_SYNTAXES


@pytest.mark.parametrize("syntax", [IMPLICIT_LE, EXPLICIT_LE, EXPLICIT_BE, DEFLATED_LE])
def test_queries_come_in_what_we_can_read(syntax):
    assert outcome(FIND, JPEG_2000, syntax).transfer_syntax == syntax
    assert outcome(FIND, JPEG_2000).outcome == 4


def test_an_answer_never_repeats_what_was_refused():
    agreement = negotiate(
        request(ProposedContext(1, "Canary\ufffd", ("Canary",)), roles={"Canary": Roles(True, True)})
    )
    assert "Canary" not in repr(agreement)


def test_a_requestor_becomes_scp_of_storage_only():
    roles = {CT: Roles(scu=False, scp=True), FIND: Roles(scu=True, scp=True)}
    contexts = (ProposedContext(1, CT, (EXPLICIT_LE,)), ProposedContext(3, FIND, (EXPLICIT_LE,)))
    agreement = negotiate(request(*contexts, roles=roles))
    assert agreement.roles == {CT: Roles(False, True), FIND: Roles(True, False)}
    assert (agreement.contexts[1].as_scu, agreement.contexts[1].as_scp) == (True, False)
    assert (agreement.contexts[3].as_scu, agreement.contexts[3].as_scp) == (False, True)


def test_without_roles_we_are_provider():
    context = negotiate(request(ProposedContext(1, CT, (EXPLICIT_LE,)))).contexts[1]
    assert (context.as_scu, context.as_scp) == (False, True)


def test_extended_negotiation_gives_what_both_want():
    asked = {FIND: b"\1\0\1\1\1", MOVE: b"\1", CT: b"\2\0\0\0\0\0", "1.2.3": b"\1"}
    answers = negotiate(request(extended=asked)).extended
    assert answers[FIND] == b"\1\0\1\0\0"
    assert answers[MOVE] == b"\1"
    assert answers[CT] == b"\2\0\3\0\0\0"
    assert relational(answers[FIND])
    assert fuzzy(answers[FIND])
    assert not combined_datetime(answers[FIND])
    assert not relational(b"")


def test_the_answer_speaks_of_identity_and_windows_only_when_asked():
    agreement = negotiate(request())
    assert agreement.answer(request(), 4096, b"ticket").identity_response is None
    asking = request(identity=UserIdentity(4, b"x", response_requested=True), asynchronous=True)
    answer = agreement.answer(asking, 4096, None)
    assert answer.identity_response == b""
    assert answer.asynchronous


@pytest.mark.parametrize(
    ("values", "rejection"),
    [
        ({}, None),
        ({"protocol_version": 2}, pdu.PROTOCOL_VERSION_NOT_SUPPORTED),
        ({"protocol_version": 3}, None),
        ({"application_context": "1.2.3"}, pdu.APPLICATION_CONTEXT_NOT_SUPPORTED),
        ({"calling_ae": None}, pdu.CALLING_AE_NOT_RECOGNIZED),
        ({"called_ae": None}, pdu.CALLED_AE_NOT_RECOGNIZED),
        ({"max_pdu_bytes": 7}, pdu.NO_REASON),
        ({"max_pdu_bytes": 0}, None),
        ({"max_pdu_bytes": 0xFFFFFFFF}, None),
    ],
)
def test_what_is_refused_whoever_asks(values, rejection):
    assert refuse_outright(request(**values), 64) == rejection


def test_only_operations_we_serve_are_named():
    assert {service_of(uid).operation for uid in (VERIFICATION, FIND, MOVE, CT)} == {
        Operation.VERIFY,
        Operation.FIND,
        Operation.MOVE,
        Operation.STORE,
    }
