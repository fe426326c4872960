import base64

import pytest

from catalog.attributes import ATTRIBUTES, Kind
from catalog.callers import Caller, Right
from catalog.find import find, unsupported
from catalog.query import Fault, InvalidQuery, Key, Level, Query, Root
from tests.unit.catalog.world import (
    ALPHA,
    BETA,
    IMAGE,
    NOW,
    PATIENT,
    SERIES,
    STUDY,
    Image,
    alpha,
    beta,
    ceiled,
    pseudonym,
    researcher,
)


def ask(*keys, level=Level.STUDY, root=Root.STUDY, **options):
    return Query(root, level, tuple(Key(keyword, values) for keyword, *values in keys), **options)


def test_a_cleared_caller_finds_originals_and_others_pseudonyms(world):
    image = Image("1.1")
    world.store_and_publish(image)
    (cleared,) = world.find(alpha, STUDY, "PatientName", "StudyInstanceUID")
    (other,) = world.find(researcher, STUDY, "PatientName", "StudyInstanceUID")
    assert (cleared.original, dict(cleared.values)) == (
        True,
        {"PatientName": "Smith^John", "StudyInstanceUID": "1.2.1"},
    )
    assert (other.original, dict(other.values)) == (
        False,
        {"PatientName": image.patient_key.upper(), "StudyInstanceUID": pseudonym("1.2.1")},
    )


def test_a_ceiling_without_phi_shows_pseudonyms_whatever_the_grants(world):
    world.store_and_publish(Image("1.1"))
    assert [match.original for match in world.find(ceiled, STUDY, "StudyInstanceUID")] == [False]


def test_a_caller_that_may_not_find_finds_nothing(world):
    world.store_and_publish(Image("1.1"))
    assert (
        world.find(Caller("mute", ALPHA, frozenset({Right.PHI, Right.RETRIEVE})), STUDY, "StudyInstanceUID")
        == []
    )


def test_what_is_not_published_exists_for_cleared_callers_only(world):
    world.store(Image("1.1"))
    assert len(world.find(alpha, STUDY, "StudyInstanceUID")) == 1
    assert world.find(researcher, STUDY, "StudyInstanceUID") == []


def test_counts_of_an_uncleared_caller_leave_out_what_is_withheld(world):
    images = [Image(f"1.{n}") for n in range(3)]
    world.store(*images)
    world.publish(*images[:2], withheld=images[2:])
    assert world.values(alpha, STUDY, "NumberOfStudyRelatedInstances") == [3]
    assert world.values(researcher, STUDY, "NumberOfStudyRelatedInstances") == [2]


def test_only_supported_keys_that_were_asked_for_are_returned(world):
    world.store(Image("1.1"))
    (match,) = world.find(alpha, STUDY, "StudyDate", "PixelSpacing", "Modality", "RetrieveAETitle")
    assert set(match.values) == {"StudyDate"}


def test_unsupported_names_what_is_neither_known_nor_the_doors():
    query = ask(
        ("StudyDate",), ("PixelSpacing",), ("Modality",), ("RetrieveAETitle",), ("SpecificCharacterSet",)
    )
    assert unsupported(query) == ("PixelSpacing", "Modality")


def test_every_attribute_is_returned_at_its_level(world):
    values = {"SeriesNumber": 3, "InstanceNumber": 4, "ImageType": ["ORIGINAL", "PRIMARY"], "Rows": 512}
    world.store(Image("1.1", values=values))
    for level in Level:
        keywords = [name for name, attribute in ATTRIBUTES.items() if attribute.level.depth <= level.depth]
        (match,) = world.find(alpha, level, *keywords)
        assert set(match.values) == set(keywords)
    assert match.values["ImageType"] == ("ORIGINAL", "PRIMARY")
    assert (match.values["SeriesNumber"], match.values["InstanceNumber"], match.values["Rows"]) == (3, 4, 512)
    assert match.values["Columns"] == ""
    assert match.values["OtherPatientIDs"] == ()
    assert match.values["ModalitiesInStudy"] == ("CT",)
    assert match.values["NumberOfPatientRelatedInstances"] == 1


MATCHED = {
    Kind.UID: ("1.2.840.10008.1.2.1", ["1.2.840.10008.1.2.1", "1.2"]),
    Kind.TEXT: ("X", "X*", ["X", "Y"], "*X*"),
    Kind.NAME: ("X", "X*", ["X", "Y"], "=X", "X=Y*"),
    Kind.DATE: ("20240301", "20240301-", "-20240301", "20240301-20240302"),
    Kind.TIME: ("10", "1015-", "-1015", "1000-1100"),
    Kind.NUMBER: ("1", ["1", "2"]),
    Kind.SERIES: ("X", "X*", ["X", "Y"]),
    Kind.RETURNED: ("X", "X*"),
}


def test_every_attribute_can_be_asked_for_in_every_way_of_its_kind(world):
    world.store_and_publish(Image("1.1", values={"OperatorsName": ["A", "B"], "ImageType": ["A", "B"]}))
    for attribute in ATTRIBUTES.values():
        for value in MATCHED[attribute.kind]:
            for caller in (alpha, researcher):
                found = world.find(caller, IMAGE, "SOPInstanceUID", **{attribute.keyword: value})
                assert len(found) == 1 if attribute.kind is Kind.RETURNED else len(found) <= 1


def test_a_study_of_two_contributors_is_one_match(world):
    both = [
        Image("1.1", values={"StudyDescription": None}),
        Image(
            "1.2", contributor=BETA, series="1.2.1.2", values={"Modality": "PR", "StudyDescription": "CHEST"}
        ),
    ]
    world.store_and_publish(*both)
    wanted = (
        "ModalitiesInStudy",
        "NumberOfStudyRelatedSeries",
        "NumberOfStudyRelatedInstances",
        "StudyDescription",
    )
    (merged,) = world.find(researcher, STUDY, *wanted)
    assert list(merged.values.values()) == [("CT", "PR"), 2, 2, "CHEST"]
    (patient,) = world.find(researcher, PATIENT, "NumberOfPatientRelatedStudies", "PatientID")
    assert patient.values["NumberOfPatientRelatedStudies"] == 1


def test_each_institution_sees_its_own_originals_and_the_others_pseudonyms(world):
    world.store_and_publish(Image("1.1"), Image("1.2", contributor=BETA, series="1.2.1.2"))
    found = world.find(alpha, SERIES, "SeriesInstanceUID")
    assert [(match.original, match.values["SeriesInstanceUID"]) for match in found] == [
        (True, "1.2.1.1"),
        (False, pseudonym("1.2.1.2")),
    ]
    found = world.find(beta, SERIES, "SeriesInstanceUID")
    assert [(match.original, match.values["SeriesInstanceUID"]) for match in found] == [
        (True, "1.2.1.2"),
        (False, pseudonym("1.2.1.1")),
    ]
    for caller in (alpha, beta):
        counts = [
            match.values["NumberOfStudyRelatedInstances"]
            for match in world.find(caller, STUDY, "NumberOfStudyRelatedInstances")
        ]
        assert counts == [1, 1]


def test_a_study_is_matched_by_any_of_its_visible_series(world):
    world.store(Image("1.1"), Image("1.2", contributor=BETA, series="1.2.1.2", values={"Modality": "PR"}))
    assert len(world.find(alpha, STUDY, "StudyInstanceUID", ModalitiesInStudy="CT")) == 1
    assert world.find(alpha, STUDY, "StudyInstanceUID", ModalitiesInStudy="PR") == []
    assert len(world.find(beta, STUDY, "StudyInstanceUID", ModalitiesInStudy=["PR", "US"])) == 1


def test_pages_follow_each_other_without_gap_or_repetition(world):
    images = [
        Image(f"1.{n}", study=f"2.{n}", series=f"3.{n}", contributor=(ALPHA, BETA)[n % 2]) for n in range(11)
    ]
    world.store_and_publish(*images)
    whole = [match.values["StudyInstanceUID"] for match in world.find(alpha, STUDY, "StudyInstanceUID")]
    assert len(whole) == len(images)
    paged, after = [], None
    while page := world.find(alpha, STUDY, "StudyInstanceUID", limit=3, after=after):
        assert len(page) <= 3
        paged += [match.values["StudyInstanceUID"] for match in page]
        after = page[-1].cursor
    assert paged == whole


@pytest.mark.parametrize("level", Level)
def test_a_cursor_continues_at_every_level(world, level):
    world.store(*(Image(f"1.{n}", study=f"2.{n}", series=f"3.{n}", patient=f"P{n}") for n in range(4)))
    whole = world.find(alpha, level, "PatientID")
    rest = world.find(alpha, level, "PatientID", after=whole[1].cursor)
    assert [match.values for match in rest] == [match.values for match in whole[2:]]


def test_a_cursor_says_nothing_of_an_original(world):
    world.store(Image("4.4.4", patient="CANARY", study="5.5.5", series="6.6.6"))
    for level in Level:
        (match,) = world.find(alpha, level, "PatientID")
        shown = base64.urlsafe_b64decode(match.cursor).decode() + repr(match)
        assert not any(original in shown for original in ("CANARY", "4.4.4", "5.5.5", "6.6.6"))


@pytest.mark.parametrize("cursor", ["x", "bm9wZQ==", "WzFd", "W3RydWUsIDFd"])
def test_a_foreign_cursor_is_refused(world, cursor):
    with pytest.raises(InvalidQuery):
        world.find(alpha, STUDY, "StudyInstanceUID", after=cursor)


def test_matches_stream(world):
    world.store(*(Image(f"1.{n}", study=f"2.{n}", series=f"3.{n}") for n in range(300)))
    with world.engine.connect() as connection:
        found = find(connection, ask(("StudyInstanceUID",)), alpha, NOW)
        assert next(found).original  # and the rest is left where it is
        assert len(list(find(connection, ask(("StudyInstanceUID",)), alpha, NOW))) == 300


HIERARCHY = [
    (Root.PATIENT, Level.STUDY, ("PatientID",)),
    (Root.PATIENT, Level.SERIES, ("PatientID", "StudyInstanceUID")),
    (Root.PATIENT, Level.IMAGE, ("PatientID", "StudyInstanceUID", "SeriesInstanceUID")),
    (Root.STUDY, Level.SERIES, ("StudyInstanceUID",)),
    (Root.STUDY, Level.IMAGE, ("StudyInstanceUID", "SeriesInstanceUID")),
]
VALUES = {"PatientID": "P1", "StudyInstanceUID": "1.2.1", "SeriesInstanceUID": "1.2.1.1"}


@pytest.mark.parametrize(("root", "level", "needed"), HIERARCHY)
def test_unique_keys_above_the_level_are_needed_unless_relational(world, root, level, needed):
    world.store(Image("1.1"))

    def run(keys, **options):
        query = Query(root, level, tuple(Key(keyword, values) for keyword, values in keys.items()), **options)
        with world.engine.connect() as connection:
            return list(find(connection, query, alpha, NOW))

    assert len(run({name: (VALUES[name],) for name in needed})) == 1
    for missing in needed:
        for instead in ((), ("",), ("1.2.1", "1.2.2"), ("1.*",)):
            keys = {name: (VALUES[name],) for name in needed} | {missing: instead}
            with pytest.raises(InvalidQuery) as refused:
                run(keys)
            assert refused.value.fault is Fault.UNIQUE_KEY
    assert len(run({}, relational=True)) == 1


def test_the_study_root_has_no_patient_level(world):
    with pytest.raises(InvalidQuery) as refused:
        world.find(alpha, PATIENT, "PatientID", root=Root.STUDY)
    assert refused.value.fault is Fault.LEVEL


def test_series_and_images_bear_what_is_above_them(world):
    world.store(Image("1.1"))
    (match,) = world.find(alpha, IMAGE, "PatientName", "StudyDate", "Modality", "SOPInstanceUID")
    assert list(match.values.values()) == ["Smith^John", "20240301", "CT", "1.1"]
