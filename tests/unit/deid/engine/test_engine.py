import mmap
import re
import tracemalloc
import zlib
from collections import Counter
from datetime import date

import pytest
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset

from deid.engine import Withheld, WithheldReason
from deid.memo import Memo
from deid.splice import published_payload
from tests.unit.deid.engine.build import (
    BIG_ENDIAN,
    CT,
    EXPLICIT,
    IMPLICIT,
    INSTANCE,
    SERIES,
    STUDY,
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


def test_says_what_was_done():
    found = header(published(dataset()))
    assert found.PatientIdentityRemoved == "YES"
    assert "PS3.15 2026c" in found.DeidentificationMethod
    codes = [(one.CodeValue, one.CodingSchemeDesignator) for one in found.DeidentificationMethodCodeSequence]
    assert codes == [("113100", "DCM"), ("113107", "DCM")]
    assert found.LongitudinalTemporalInformationModified == "MODIFIED"
    assert "BurnedInAnnotation" not in found


@pytest.mark.parametrize(
    ("options", "said"),
    [([], "REMOVED"), (["modified-dates"], "MODIFIED"), (["full-dates"], "UNMODIFIED")],
)
def test_dates_go_move_or_stay_as_the_facility_chose(options, said):
    data = dataset(el(0x00080020, "DA", "20200301"), el(0x00080030, "TM", "101112"))
    engine = deidentifier("safe-private", *options)
    found = header(published(data, engine=engine))
    assert found.LongitudinalTemporalInformationModified == said
    if said == "REMOVED":
        assert (found.StudyDate, found.StudyTime) == ("", "")
    else:
        assert (found.StudyDate == "20200301") is (said == "UNMODIFIED")
        assert found.StudyTime == "101112"


def test_intervals_hold_across_studies_of_a_patient():
    engine = deidentifier()
    days = {}
    for study, day in (("1.2.3", "20200228"), ("1.2.4", "20200302"), ("1.2.5", "20231231")):
        data = dataset(
            el(0x0020000D, "UI", study), el(0x00080020, "DA", day), el(0x0008002A, "DT", f"{day}1200")
        )
        found = header(published(data, engine=engine))
        assert found.AcquisitionDateTime == f"{found.StudyDate}1200"
        days[day] = date.fromisoformat(found.StudyDate)
    moved = {date.fromisoformat(day) - kept for day, kept in days.items()}
    assert len(moved) == 1
    assert moved.pop().days > 0


def test_an_empty_patient_id_is_not_one_patient():
    nobody = [dataset(el(0x00100020, "LO", " "), el(0x0020000D, "UI", uid)) for uid in ("1.2.3", "1.2.4")]
    one, other = (published(data) for data in nobody)
    assert one.patient_key != other.patient_key
    assert header(one).PatientID != header(other).PatientID
    assert header(one).PatientID


def test_references_lead_where_they_led():
    reference = [el(0x00081150, "UI", CT), el(0x00081155, "UI", "1.2.9.9")]
    series = [el(0x0020000E, "UI", SERIES), el(0x00081199, "SQ", [reference])]
    citing = published(
        dataset(el(0x00081115, "SQ", [series]), el(0x00081140, "SQ", [reference]), instance="1.2.9.8")
    )
    cited = published(dataset(instance="1.2.9.9"))
    found = header(citing)
    assert found.ReferencedImageSequence[0].ReferencedSOPInstanceUID == cited.sop_instance_uid
    assert found.ReferencedImageSequence[0].ReferencedSOPClassUID == CT
    assert found.ReferencedSeriesSequence[0].SeriesInstanceUID == cited.series_uid
    assert (citing.study_uid, citing.series_uid) == (found.StudyInstanceUID, found.SeriesInstanceUID)


@pytest.mark.parametrize("syntax", [IMPLICIT, BIG_ENDIAN])
def test_headers_come_out_the_same_whatever_they_were_written_in(syntax):
    def data(syntax, order):
        return dataset(
            el(0x00280030, "DS", "0.5\\0.5", syntax=syntax),
            el(0x00280106, "SS", us(7, order=order), syntax=syntax),
            el(
                0x00082218,
                "SQ",
                [
                    [
                        el(0x00080100, "SH", "T-A0100", syntax=syntax),
                        el(0x00080102, "SH", "SRT", syntax=syntax),
                        el(0x00080104, "LO", "Brain", syntax=syntax),
                    ]
                ],
                syntax=syntax,
            ),
            *pixels([1, 2, 3, 4], signed=1, syntax=syntax),
            syntax=syntax,
        )

    plain = published(data(EXPLICIT, "<"))
    other = published(data(syntax, ">" if syntax == BIG_ENDIAN else "<"), syntax)
    assert other.before == plain.before
    assert other.transfer_syntax == EXPLICIT


def test_deflated_instances_are_published_inflated():
    data = dataset(*pixels([1, 2, 3, 4]))
    deflater = zlib.compressobj(wbits=-15)
    form = published(deflater.compress(data) + deflater.flush(), DEFLATED)
    assert form.inflated == data
    assert form.transfer_syntax == EXPLICIT
    assert bytes(published_payload(form.inflated, form.split, 0, form.payload_edits)) == us(1, 2, 3, 4)


def test_structured_reports_keep_codes_and_numbers_and_lose_words():
    code = [el(0x00080100, "SH", "121071"), el(0x00080102, "SH", "DCM"), el(0x00080104, "LO", "DOE JANE")]
    local = [el(0x00080100, "SH", "DOE"), el(0x00080102, "SH", "99DOE"), el(0x00080104, "LO", "DOE JANE")]
    unit = [el(0x00080100, "SH", "mm"), el(0x00080102, "SH", "UCUM"), el(0x00080104, "LO", "DOE")]

    def entry(kind, name, *values):
        return [el(0x0040A040, "CS", kind), el(0x0040A043, "SQ", [name]), *values]

    measured = [el(0x004008EA, "SQ", [unit]), el(0x0040A30A, "DS", "12.5")]
    content = [
        entry("TEXT", code, el(0x0040A160, "UT", "DOE has a mass")),
        entry("PNAME", code, el(0x0040A123, "PN", "DOE^JANE")),
        entry("NUM", local, el(0x0040A300, "SQ", [measured])),
        entry("CODE", code, el(0x0040A168, "SQ", [local])),
    ]
    data = dataset(
        el(0x00080060, "CS", "SR"),
        el(0x0040A040, "CS", "CONTAINER"),
        el(0x0040A730, "SQ", content),
        sop_class=SR,
    )
    form = published(data)
    assert b"DOE" not in form.before
    text, name, number, coded = header(form).ContentSequence
    assert text.TextValue == "REMOVED"
    assert text.ConceptNameCodeSequence[0].CodeMeaning == "Finding"
    assert name.PersonName == "REMOVED"
    assert number.MeasuredValueSequence[0].NumericValue == 12.5
    assert number.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue == "mm"
    unknown = number.ConceptNameCodeSequence[0]
    assert (unknown.CodingSchemeDesignator, unknown.CodeMeaning) == ("99DGIS", "Removed")
    assert unknown.CodeValue == coded.ConceptCodeSequence[0].CodeValue  # equal codes stay equal


def test_options_keep_what_they_are_for():
    data = dataset(
        el(0x00100040, "CS", "F"),
        el(0x00101010, "AS", "097Y"),
        el(0x00101030, "DS", "71.5"),
        el(0x00080080, "LO", "St. Elsewhere"),
        el(0x00181000, "LO", "SN 12345"),
        el(0x00190010, "LO", "SIEMENS MR HEADER"),
        el(0x0019100C, "IS", "1000"),
        el(0x00191008, "CS", "IMAGE NUM 4"),
    )
    bare = header(published(data))
    assert "PatientWeight" not in bare
    assert "InstitutionName" not in bare
    every = deidentifier(
        "patient-characteristics", "institution", "device-identity", "safe-private", "retain-uids"
    )
    form = published(data, engine=every)
    found = header(form)
    assert (found.PatientSex, found.PatientAge, found.PatientWeight) == ("F", "090Y", 71.5)
    assert (found.InstitutionName, found.DeviceSerialNumber) == ("St. Elsewhere", "SN 12345")
    assert found[0x00190010].value == "SIEMENS MR HEADER"
    assert found[0x0019100C].value == 1000
    assert 0x00191008 not in found
    assert (form.study_uid, form.series_uid, form.sop_instance_uid) == (STUDY, SERIES, INSTANCE)


def test_descriptions_keep_the_words_of_the_trade_and_no_others():
    data = dataset(
        el(0x0008103E, "LO", "CT Chest w/ contrast, Jane DOE 4711"), el(0x00081030, "LO", "DOE JANE")
    )
    found = header(published(data, engine=deidentifier("modified-dates", "clean-descriptors")))
    assert found.SeriesDescription == "CT Chest w contrast"
    assert "StudyDescription" not in found
    assert "SeriesDescription" not in header(published(data))


def test_technical_values_stay_to_the_byte():
    kept = {
        0x00080008: ("CS", "ORIGINAL\\PRIMARY\\AXIAL"),
        0x00180015: ("CS", "CHEST"),
        0x00180022: ("CS", "HELICAL MODE"),
        0x00180050: ("DS", "2.5"),
        0x00180060: ("DS", "120"),
        0x00181210: ("SH", "STANDARD"),
        0x00185100: ("CS", "HFS"),
        0x00189345: ("FD", "333333%@"),
        0x00200013: ("IS", "17"),
        0x00200032: ("DS", "-12.5\\3e1\\.5"),
        0x00200037: ("DS", "1\\0\\0\\0\\1\\0"),
        0x00281052: ("DS", "-1024"),
        0x00080070: ("LO", "SIEMENS"),
        0x00081090: ("LO", "SOMATOM Definition AS"),
    }
    form = published(dataset(*(el(tag, vr, value) for tag, (vr, value) in kept.items())))
    for tag, (vr, value) in kept.items():
        assert el(tag, vr, value) in form.before, f"{tag:08X}"


def test_names_hidden_in_coded_and_numeric_places_go():
    hiding = [
        (0x00180022, "CS"),
        (0x00180015, "CS"),
        (0x00200062, "CS"),
        (0x00180050, "DS"),
        (0x00200013, "IS"),
        (0x00181210, "SH"),
        (0x00080070, "LO"),
        (0x00081090, "LO"),
        (0x00080060 + 1, "CS"),
        (0x00081070, "PN"),
        (0x00204000, "LT"),
    ]
    form = published(dataset(*(el(tag, vr, "JANE DOE") for tag, vr in hiding)))
    assert b"DOE" not in form.before
    assert header(form).Manufacturer == ""  # type 2: there, and empty


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ([el(0x00280301, "CS", "YES")], "DECLARED_BURNED_IN"),
        ([el(0x00080060, "CS", "US")], "RISKY_MODALITY"),
        ([el(0x00080060, "CS", "OT")], "RISKY_MODALITY"),
        ([el(0x00080008, "CS", "DERIVED\\SECONDARY\\SCREEN SAVE")], "SCREEN_CONTENT"),
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
            data = dataset(el(0x00100020, "LO", who), el(0x00080020, "DA", "20200301"))
            assert published(data, engine=engine).before == published(data).before


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
