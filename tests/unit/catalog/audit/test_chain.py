from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.audit.chain import BEGINNING, Fault, Finding, Head, digest, examine
from catalog.audit.values import Entry, Event, Happening, Outcome

WRITER = "gateway-1/dicom"


def chain(happenings, writer=WRITER):
    made, last = [], BEGINNING
    for number, happening in enumerate(happenings, 1):
        last = digest(last, writer, number, 1000 + number, happening)
        made.append(Entry(writer, number, 1000 + number, happening, last))
    return made


def happening(number):
    return Happening(Event.QUERY, f"caller-{number}", detail={"level": "STUDY", "number": number})


TRAIL = chain(happening(number) for number in range(1, 11))
HEAD = Head(WRITER, 8, TRAIL[7].digest)


def test_a_whole_chain_has_no_faults():
    assert list(examine(WRITER, TRAIL, [HEAD])) == []
    assert list(examine(WRITER, [], [])) == []


CHANGES = {
    "at_ms": lambda one: replace(one, at_ms=one.at_ms + 1),
    "event": lambda one: replace(one, happening=replace(one.happening, event=Event.STORE)),
    "caller": lambda one: replace(one, happening=replace(one.happening, caller="somebody else")),
    "outcome": lambda one: replace(one, happening=replace(one.happening, outcome=Outcome.MINOR_FAILURE)),
    "address": lambda one: replace(one, happening=replace(one.happening, address="10.0.0.1")),
    "count": lambda one: replace(one, happening=replace(one.happening, count=2)),
    "patients": lambda one: replace(one, happening=replace(one.happening, patients=("p",))),
    "detail": lambda one: replace(one, happening=replace(one.happening, detail={"level": "SERIES"})),
}


@pytest.mark.parametrize("name", CHANGES)
def test_any_changed_field_shows(name):
    changed = [*TRAIL[:4], CHANGES[name](TRAIL[4]), *TRAIL[5:]]
    assert list(examine(WRITER, changed, [HEAD])) == [Finding(Fault.CHANGED, WRITER, 5)]


@given(st.integers(0, 9))
def test_an_entry_that_is_gone_shows(gone):
    left = [*TRAIL[:gone], *TRAIL[gone + 1 :]]
    found = list(examine(WRITER, left, [Head(WRITER, 10, TRAIL[9].digest)]))
    assert found[0].fault in {Fault.MISSING, Fault.CUT}
    assert found[0].number == gone + 1


def test_a_tail_that_was_cut_shows_by_the_signed_head():
    assert list(examine(WRITER, TRAIL[:6], [])) == []  # the chain alone cannot tell
    assert list(examine(WRITER, TRAIL[:6], [HEAD])) == [Finding(Fault.CUT, WRITER, 7)]


def test_a_chain_that_is_gone_altogether_shows():
    assert list(examine(WRITER, [], [HEAD])) == [Finding(Fault.UNKNOWN, WRITER, 1)]


def test_a_chain_computed_anew_shows_by_the_signed_head():
    forged = chain([happening(99), *(happening(number) for number in range(2, 11))])
    assert list(examine(WRITER, forged, [])) == []
    assert list(examine(WRITER, forged, [HEAD])) == [Finding(Fault.REWRITTEN, WRITER, 8)]


def test_an_entry_of_another_writer_is_none_of_this_chain():
    foreign = chain([happening(1)], "gateway-2/dicom")
    assert list(examine(WRITER, foreign, [])) == [Finding(Fault.CHANGED, WRITER, 1)]


@given(
    st.lists(
        st.tuples(st.text(), st.text(), st.lists(st.text(), max_size=3)),
        min_size=2,
        max_size=2,
        unique_by=repr,
    )
)
def test_no_two_happenings_have_one_digest(pair):
    made = [
        digest(
            BEGINNING, WRITER, 1, 1, Happening(Event.QUERY, caller, address=address, patients=tuple(patients))
        )
        for caller, address, patients in pair
    ]
    assert made[0] != made[1]
