"""Action and event information of storage commitment, in every transfer syntax and with everything wrong."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from dgis.dimse.references import (
    Commitment,
    Failed,
    Outcome,
    Reference,
    encoded,
    read_commitment,
    references_of,
    write_outcome,
)
from dgis.dimse.sop_classes import MESSAGE_SYNTAXES
from dgis.dimse.status import Refusal, Status
from dgis.dimse.uids import EXPLICIT_LE, IMPLICIT_LE
from tests.unit.dgis.dimse.parrot import CT, element

MANY = 1 << 20


def action(*instances, transaction="1.2.3"):
    data = Dataset()
    if transaction is not None:
        data.add_new(0x00081195, "UI", transaction)
    data.ReferencedSOPSequence = references_of(Reference(CT, uid) for uid in instances)
    return data


def read(data, syntax=EXPLICIT_LE, most=100):
    return read_commitment(encoded(data, syntax), syntax, MANY, most)


@pytest.mark.parametrize("syntax", MESSAGE_SYNTAXES)
def test_a_request_is_read_and_an_outcome_written(syntax):
    asked = read(action("1.2.4", "1.2.5"), syntax)
    assert asked == Commitment("1.2.3", (Reference(CT, "1.2.4"), Reference(CT, "1.2.5")))
    one, other = asked.references
    outcome = Outcome("1.2.3", "DGIS", [one, other], [])
    again = read_commitment(write_outcome(outcome, syntax), syntax, MANY, 100)
    assert again == asked
    assert outcome.event_type == 1


def test_an_outcome_with_failures_names_reasons():
    outcome = Outcome("1.2.3", "DGIS", [], [Failed(Reference(CT, "1.2.4"), 0x0112)])
    assert outcome.event_type == 2
    written = write_outcome(outcome, EXPLICIT_LE)
    assert b"\x08\x00\x97\x11US\x02\x00\x12\x01" in written
    assert b"\x08\x00\x99\x11" not in written  # PS3.4 table J.3-2: only where something is committed
    assert b"\x08\x00\x54\x00" not in written


def test_an_instance_that_is_named_twice_is_asked_about_once():
    assert read(action("1.2.4", "1.2.4")).references == (Reference(CT, "1.2.4"),)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (action("1.2.4", transaction=None), Status.INVALID_ARGUMENT),
        (action("1.2.4", transaction=""), Status.INVALID_ARGUMENT),
        (action(), Status.INVALID_ARGUMENT),
        (Dataset(), Status.INVALID_ARGUMENT),
        (action(*(f"1.2.{number}" for number in range(101))), Status.RESOURCE_LIMITATION),
    ],
)
def test_what_cannot_be_a_request_is_refused(data, status):
    refusal = read(data)
    assert isinstance(refusal, Refusal)
    assert refusal.status is status
    assert len(refusal.comment) <= 64


@pytest.mark.parametrize("uid", [b"x", b"1..2", b"1.2.", b"1" * 66, b"DOE^JANE", b"\xff\xfe", b""])
def test_malformed_uids_are_refused_and_not_repeated(uid):
    item = element(0x00081150, b"UI", CT.encode()) + element(0x00081155, b"UI", uid)
    sequence = b"\xfe\xff\x00\xe0" + len(item).to_bytes(4, "little") + item
    data = element(0x00081195, b"UI", b"1.2.3") + element(0x00081199, b"SQ", sequence)
    refusal = read_commitment(data, EXPLICIT_LE, MANY, 100)
    assert isinstance(refusal, Refusal)
    assert refusal.status is Status.INVALID_ARGUMENT
    assert "DOE" not in refusal.comment
    malformed = element(0x00081195, b"UI", uid) + element(0x00081199, b"SQ", b"")
    assert isinstance(read_commitment(malformed, EXPLICIT_LE, MANY, 100), Refusal)


@given(data=st.binary(max_size=300), syntax=st.sampled_from(MESSAGE_SYNTAXES))
@settings(deadline=None)
def test_any_bytes_are_a_request_or_a_refusal(data, syntax):
    assert isinstance(read_commitment(data, syntax, 4096, 100), Commitment | Refusal)


@given(at=st.integers(0, 200), byte=st.integers(0, 255), syntax=st.sampled_from([EXPLICIT_LE, IMPLICIT_LE]))
@settings(deadline=None)
def test_a_damaged_request_is_a_request_or_a_refusal(at, byte, syntax):
    raw = bytearray(encoded(action("1.2.4", "1.2.5"), syntax))
    raw[at % len(raw)] = byte
    read_back = read_commitment(bytes(raw), syntax, MANY, 100)
    assert isinstance(read_back, Commitment | Refusal)
