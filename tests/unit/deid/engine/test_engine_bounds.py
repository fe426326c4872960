"""What the engine withholds and reports, and what it holds in memory."""

import mmap
import re
import tracemalloc
import zlib
from collections import Counter

import pytest
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset

from deid.elements import MAX_ELEMENTS
from deid.engine import MAX_INFLATED_HEADER_BYTES, Published, Withheld, WithheldReason
from deid.memo import Memo
from deid.walk import Walker
from tests.unit.deid.engine.build import (
    EXPLICIT,
    INSTANCE,
    dataset,
    deidentifier,
    el,
    pixels,
    published,
    us,
)

DEFLATED = "1.2.840.10008.1.2.1.99"
SR, KEY_OBJECT = "1.2.840.10008.5.1.4.1.1.88.11", "1.2.840.10008.5.1.4.1.1.88.59"


def header(form):
    return read_dataset(DicomBytesIO(form.before), is_implicit_VR=False, is_little_endian=True)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ([el(0x00280301, "CS", "YES")], "DECLARED_BURNED_IN"),
        ([el(0x00080060, "CS", "US")], "RISKY_MODALITY"),
        ([el(0x00080060, "CS", "OT")], "RISKY_MODALITY"),
        ([el(0x00080008, "CS", "DERIVED\\SECONDARY\\SCREEN SAVE")], "SCREEN_CONTENT"),
        ([el(0x00080008, "CS", "DERIVED\\SECONDARY\\PATIENT_INFO")], "SCREEN_CONTENT"),
        ([el(0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.7")], "RISKY_SOP_CLASS"),
        ([el(0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.104.1")], "DOCUMENT"),
        ([el(0x00080016, "UI", "1.3.12.2.1107.5.9.1")], "UNKNOWN_SOP_CLASS"),
        ([el(0x00280002, "US", us(3))], "COLOUR_CAPTURE"),
        ([el(0x0020000D, "UI", "")], "NO_IDENTITY"),
    ],
)
def test_what_may_show_the_patient_is_withheld_with_a_reason(change, reason):
    form = deidentifier().deidentify(dataset(*change), EXPLICIT, INSTANCE)
    assert isinstance(form, Withheld)
    assert form.reason is WithheldReason[reason]
    assert re.fullmatch(r"[a-z2-7]{32}", form.patient_key)
    assert form.sop_instance_uid.startswith("2.25.")


@pytest.mark.parametrize(
    ("data", "syntax", "reason"),
    [
        (b"", EXPLICIT, "NO_IDENTITY"),
        (b"no DICOM at all, just words", EXPLICIT, "MALFORMED"),
        (dataset()[:-3], EXPLICIT, "MALFORMED"),
        (b"\x00\x01\x02", DEFLATED, "INFLATE"),
        (dataset(*pixels([1, 2, 3, 4])), "1.2.3.4.5", "NOT_SPLICED"),
        (dataset(*pixels([1, 2])), EXPLICIT, "NOT_SPLICED"),
    ],
)
def test_bad_input_is_withheld_never_raised(data, syntax, reason):
    form = deidentifier().deidentify(data, syntax, INSTANCE)
    assert isinstance(form, Withheld)
    assert form.reason is WithheldReason[reason]


def test_what_inflates_to_a_huge_header_is_withheld():
    """A megabyte of data set may not become hundreds of them in memory, header by header."""
    swollen = dataset(el(0x00281201, "OW", bytes(MAX_INFLATED_HEADER_BYTES)))
    packer = zlib.compressobj(1, wbits=-zlib.MAX_WBITS)
    form = deidentifier().deidentify(packer.compress(swollen) + packer.flush(), DEFLATED, INSTANCE)
    assert form.reason is WithheldReason.TOO_LARGE


def test_items_without_elements_are_counted_too():
    """A million of them are 8 MB, and a few kilobytes deflated."""
    empty = el(0x00081140, "SQ", bytes.fromhex("feff00e000000000") * (MAX_ELEMENTS // 2))
    assert deidentifier().deidentify(dataset(empty), EXPLICIT, INSTANCE).reason is WithheldReason.MALFORMED


def test_where_a_context_is_defined_goes_with_the_context():
    entry = [el(0x00080100, "SH", "10200004"), el(0x00080102, "SH", "SCT"), el(0x00080104, "LO", "Liver")]
    source = el(0x00080105, "CS", "DCMR")
    for context, stays in (("JANE", False), ("4031", True)):
        named = [*entry[:3], source, el(0x0008010F, "CS", context)]
        form = published(dataset(el(0x00082218, "SQ", [named])))
        assert (b"DCMR" in form.before, b"Liver" in form.before) == (stays, True)


@pytest.mark.parametrize(("size", "stays"), [(1 << 17, True), ((1 << 17) + 2, False)])
def test_a_palette_longer_than_one_can_be_goes(size, stays):
    form = published(dataset(el(0x00281201, "OW", bytes(size))))
    assert (len(form.before) > size) is stays


def test_damage_in_what_is_put_in_anew_counts_whatever_came_before():
    """Of two images alike the second is taken over; damage in it withholds it as it would alone."""
    code = el(0x00120064, "SQ", [[el(0x00080100, "SH", "113100")]])
    broken = code.replace(b"\x08\0\0\1SH", b"\xfe\xff\0\xe0SH")
    images = [dataset(one, *pixels([1, 2, 3, 4])) for one in (code, broken)]
    assert len(images[0]) == len(images[1])
    engine = deidentifier()
    forms = [engine.deidentify(one, EXPLICIT, INSTANCE) for one in images]
    alone = deidentifier().deidentify(images[1], EXPLICIT, INSTANCE)
    assert isinstance(forms[0], Published)
    assert (forms[1], forms[1].reason) == (alone, WithheldReason.MALFORMED)


def test_damage_behind_the_patient_does_not_hide_whose_key_seals():
    whole = deidentifier().deidentify(dataset(), EXPLICIT, INSTANCE)
    cut = deidentifier().deidentify(dataset()[:-1], EXPLICIT, INSTANCE)
    assert cut.patient_key == whole.patient_key


def test_depth_is_bounded_without_recursion_errors():
    body = b""
    for _ in range(300):
        body = el(0x00082218, "SQ", [[body]])
    form = deidentifier().deidentify(dataset(body), EXPLICIT, INSTANCE)
    assert form.reason is WithheldReason.MALFORMED


def test_a_series_comes_out_as_its_instances_do_one_by_one():
    """What is remembered for speed must never show."""
    engine = deidentifier()
    for number in range(40):
        varied = [
            el(0x00200013, "IS", str(number)),
            el(0x00200032, "DS", f"{number}.5\\0\\-{number * 100}"),
            el(0x00100010, "PN", "DOE^JANE" if number % 7 else "ROE^RICHARD"),
            el(0x00100020, "LO", "4711" if number % 5 else "0815"),
            el(0x00080020, "DA", "20200301"),
            el(0x00091001 + number % 3, "UN", "secret"),
            *([el(0x00081140, "SQ", [[el(0x00081155, "UI", f"1.2.{number}")]])] if number % 2 else []),
        ]
        data = dataset(
            *varied, *pixels([number, 2, 3, 4]), el(0xFFFCFFFC, "OB", "x"), instance=f"1.2.3.{number}"
        )
        mine, alone = published(data, engine=engine), published(data)
        assert (mine.before, mine.after, mine.split) == (alone.before, alone.after, alone.split)
        assert mine.report.actions() == alone.report.actions()
        assert (mine.patient_key, mine.sop_instance_uid) == (alone.patient_key, alone.sop_instance_uid)


def test_series_of_several_patients_in_turn_stay_apart():
    engine = deidentifier()
    for _ in range(3):
        for who in ("1", "2", "3"):
            data = dataset(*alike(who))
            assert published(data, engine=engine).before == published(data).before


def alike(who):
    """What two patients may have in the same bytes, though it comes out in other ones: days, at any depth."""
    day, moment = el(0x0040A121, "DA", "20200301"), el(0x0040A120, "DT", "20200301101112")
    return (
        el(0x00080020, "DA", "20200301"),
        el(0x00081032, "SQ", [[el(0x00100030, "DA", "19530608")]]),
        el(0x00100020, "LO", who),
        el(0x00181030, "LO", "protocol"),
        el(0x00200010, "SH", "7"),
        el(
            0x0040A730, "SQ", [[el(0x0040A730, "SQ", [[day], [moment]]), day], [el(0x0040A040, "CS", "DATE")]]
        ),
    )


def test_what_is_the_same_for_every_patient_is_worked_out_once(monkeypatch):
    """And nothing of a patient is remembered for others: neither days nor what names him."""
    worked_out = []
    plain = Walker._element

    def counted(self, buffer, element, *rest):
        worked_out.append(element.tag)
        return plain(self, buffer, element, *rest)

    monkeypatch.setattr(Walker, "_element", counted)
    engine = deidentifier()
    published(dataset(*alike("1")), engine=engine)
    worked_out.clear()
    published(dataset(*alike("2")), engine=engine)
    own = {0x00080020, 0x00081032, 0x00100010, 0x00100020, 0x00100030, 0x00200010, 0x0040A730}
    assert {*worked_out} == {*own, 0x0040A120, 0x0040A121}
    remembered = b"".join(raw for known in engine._shared._places.values() for raw in known)
    assert remembered
    assert all(one not in remembered for one in (b"DOE", b"20200301", b"1953"))


def test_the_report_tells_tags_and_actions_and_no_values():
    form = published(
        dataset(el(0x00104000, "LT", "secret"), el(0x00082218, "SQ", [[el(0x00104000, "LT", "x")]]))
    )
    actions = form.report.actions()
    assert actions[0x00104000, "X"] == 2
    assert actions[0x00100010, "D"] == 1
    assert "secret" not in repr(form)
    assert "DOE" not in repr(form)


def test_nothing_is_remembered_after_forgetting():
    engine = deidentifier()
    published(dataset(), engine=engine)
    assert engine._workers
    engine.forget()
    assert not engine._workers
    assert not any(engine._shared._places.values())
    assert engine._pseudonyms.uid.cache_info().currsize == 0


def test_the_memo_is_bounded():
    memo = Memo()
    known = memo.at("place")
    for number in range(20_000):
        memo.keep(known, number.to_bytes(4, "big"), None)
    assert len(known) <= Memo._MOST_ENTRIES


def test_pixels_are_not_copied(tmp_path):
    side = 8192
    large = (el(0x00280010, "US", us(side)), el(0x00280011, "US", us(side)))
    head = dataset(*pixels([], stored=16, high=15)[:-1], *large)
    pixel = b"\xe0\x7f\x10\x00OW\0\0" + (side * side * 2).to_bytes(4, "little")
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.write(head + pixel)
        file.truncate(len(head) + len(pixel) + side * side * 2)
    engine = deidentifier()
    published(dataset(), engine=engine)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        tracemalloc.start()
        try:
            with memoryview(data) as view:
                form = published(view, engine=engine)
            _now, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert form.split.holes[0].length == side * side * 2
    assert peak < 4 << 20


def test_counts_of_private_actions_are_kept():
    form = published(
        dataset(el(0x00090010, "LO", "ACME"), el(0x00091001, "LO", "x"), el(0x00091002, "LO", "y"))
    )
    assert Counter(action for (tag, action) in form.report.actions() if tag >> 16 == 9) == {"X": 2}
