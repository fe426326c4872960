import zlib
from datetime import date

import pytest
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset

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


@pytest.mark.parametrize("dates", ["modified-dates", "full-dates"])
@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN])
def test_coarse_times_are_full_hours_at_every_depth(dates, syntax):
    def times(tag_of_time, tag_of_both):
        return [
            el(tag_of_time, "TM", "235911.123456\\10:11:12\\0718\\09", syntax=syntax),
            el(tag_of_both, "DT", "20200301235959.9+0130", syntax=syntax),
        ]

    moment = [el(0x0040A121, "DA", "20200301", syntax=syntax), el(0x0040A122, "TM", "2359", syntax=syntax)]
    nested = [*moment, *times(0x0040A30C, 0x0040A13A)]
    data = dataset(
        el(0x00080020, "DA", "20200301", syntax=syntax),
        *times(0x00080030, 0x0008002A),
        el(0x0040A730, "SQ", [[el(0x0040A730, "SQ", [nested], syntax=syntax)]], syntax=syntax),
        syntax=syntax,
    )
    exact = published(data, syntax, deidentifier(dates))
    coarse = published(data, syntax, deidentifier(dates, "coarse-times"))
    found, inner = header(coarse), header(coarse).ContentSequence[0].ContentSequence[0]
    assert found.StudyTime == ["230000", "100000", "0700", "09"]
    assert inner.Time == "2300"
    for image in (found, inner):
        moved = image.get("AcquisitionDateTime") or image.ReferencedDateTime
        assert moved == header(exact).AcquisitionDateTime[:8] + "230000+0130"
    assert inner.Date == found.StudyDate == header(exact).StudyDate  # no pair moved to another day
    assert not [time for time in (b"2359", b"1011", b"101112", b"0718") if time in coarse.before]


@pytest.mark.parametrize("dates", ["modified-dates", "full-dates"])
def test_coarse_times_are_said_in_words_and_claim_no_full_dates(dates):
    found = header(published(dataset(), engine=deidentifier(dates, "coarse-times")))
    assert found.DeidentificationMethod[1] == "times of day cut down to the full hour"
    codes = [one.CodeValue for one in found.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113107"]
    assert found.LongitudinalTemporalInformationModified == "MODIFIED"


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


@pytest.mark.parametrize("written", ["MRN 4711", "4711", "1.2.Doe.3", "1..2", "1.2." + "1" * 61])
def test_original_uids_stay_only_where_they_are_uids(written):
    form = published(dataset(instance=written), engine=deidentifier("retain-uids"))
    assert form.sop_instance_uid == header(form).SOPInstanceUID
    assert form.sop_instance_uid.startswith("2.25.")
    assert written.encode() not in form.before


def test_what_an_iod_must_have_stays_also_where_the_table_removes_it():
    """PS3.15 Table E.1-1 removes these; PS3.3 C.11.10 and 10.6 want one filled and the other there."""
    state = dataset(
        el(0x00700082, "DA", "20190203"),
        el(0x0040A370, "SQ", [[el(0x00401001, "SH", "RP-4711")]]),
        el(0x00102297, "PN", "DOE^JOHN"),
        el(0x00102298, "CS", "OWNER"),
        el(0x00120081, "LO", "Ethics of St. Elsewhere"),
    )
    found = header(published(state, engine=deidentifier("institution")))
    assert found.PresentationCreationDate == "19000101"
    assert found.ReferencedRequestSequence[0].RequestedProcedureID == ""
    assert found.ResponsiblePerson == ""
    for keyword in ("ResponsiblePersonRole", "ClinicalTrialProtocolEthicsCommitteeName"):
        assert keyword not in found


def test_items_that_an_iod_wants_stay_when_nothing_is_left_in_them():
    frames = [[el(0x00209113, "SQ", [[el(0x00290010, "LO", "ACME")]])], [el(0x00104000, "LT", "Jane")]]
    found = header(published(dataset(el(0x52009230, "SQ", frames))))
    assert len(found.PerFrameFunctionalGroupsSequence) == 2


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
        0x00200030: ("DS", "-12.5\\3e1\\.5"),  # of ACR-NEMA, retired
        0x00200035: ("DS", "1\\0\\0\\0\\1\\0"),
        0x00200050: ("DS", "-12.5"),
        0x00281052: ("DS", "-1024"),
        0x00080070: ("LO", "SIEMENS"),
        0x00081090: ("LO", "SOMATOM Definition AS"),
    }
    form = published(dataset(*(el(tag, vr, value) for tag, (vr, value) in kept.items())))
    for tag, (vr, value) in kept.items():
        assert el(tag, vr, value) in form.before, f"{tag:08X}"


def test_a_rescale_type_nobody_knows_is_unspecified():
    slope = [el(0x00281052, "DS", "0"), el(0x00281053, "DS", "1.5")]
    for written, shown in (("HU", "HU"), ("JANE DOE", "US")):
        form = published(dataset(*slope, el(0x00281054, "LO", written)))
        assert header(form).RescaleType == shown


def test_what_follows_a_nul_goes_and_the_term_before_it_stays():
    """Readers that end a string at a NUL see the term; an image type keeps its two values."""
    written = {0x00080008: b"ORIGINAL\\PRIMARY\0KANARIE", 0x00180015: b"BRAIN\0KANARIE "}
    written[0x00185100] = b"HFS \0KANARIE"
    form = published(dataset(*(el(tag, "CS", value) for tag, value in written.items())))
    assert b"KANARIE" not in form.before
    found = header(form)
    assert list(found.ImageType) == ["ORIGINAL", "PRIMARY"]
    assert (found.BodyPartExamined, found.PatientPosition) == ("BRAIN", "HFS")
    odd = published(dataset(el(0x00080008, "CS", "ORIGINAL\\KAN\x1bARIE\\AXIAL")))
    assert list(header(odd).ImageType) == ["ORIGINAL", "OTHER", "AXIAL"]


def test_terms_of_one_attribute_stay_there_and_nowhere_else():
    terms = {
        0x00189020: "OFF_RESONANCE",
        0x00189017: "FREE_PRECESSION",
        0x00080008: "ORIGINAL\\PRIMARY\\CT_SOM5 SPI",
    }
    form = published(dataset(*(el(tag, "CS", term) for tag, term in terms.items())))
    for tag, term in terms.items():
        assert el(tag, "CS", term) in form.before, term
    elsewhere = published(dataset(el(0x00180015, "CS", "OFF_RESONANCE")))
    assert "BodyPartExamined" not in header(elsewhere)


def test_names_hidden_in_coded_and_numeric_places_go():
    hiding = [
        (0x00180022, "CS"),
        (0x00180015, "CS"),
        (0x00200062, "CS"),
        (0x00180050, "DS"),
        (0x00200013, "IS"),
        (0x00200030, "DS"),
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


def test_what_earlier_signers_and_encrypters_left_goes_whole():
    """Without signatures their parameters say nothing; what was encrypted is identity."""
    encrypted = [[el(0x04000510, "UI", EXPLICIT), el(0x04000520, "OB", b"Kanarie Anna")]]
    parameters = [[el(0x04000015, "CS", "SHA256"), el(0x04000120, "OB", b"Kanarie Anna")]]
    found = header(published(dataset(el(0x04000500, "SQ", encrypted), el(0x4FFE0001, "SQ", parameters))))
    assert "EncryptedAttributesSequence" not in found
    assert "MACParametersSequence" not in found
