"""The SQL decides as the pure function does: what is found, what is counted, what is sent."""

from dataclasses import dataclass, replace
from itertools import combinations, product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, exists, false, literal, or_, select

from catalog.callers import SHARED, Assertions, Caller, Right
from catalog.decision import (
    FIND_DEIDENTIFIED,
    FIND_ORIGINAL,
    RETRIEVE_DEIDENTIFIED,
    RETRIEVE_ORIGINAL,
    Granted,
    Subject,
    decide_all,
)
from catalog.grants import ANYONE, FOR_EVER_MS, Grant, What, Who, write
from catalog.links import Link, link, unlink
from catalog.reach import Reach
from catalog.tables import PHI, contributor, grants, linked_patient, patient_link
from tests.unit.catalog.world import (
    ALPHA,
    BETA,
    IMAGE,
    NOW,
    PATIENT,
    SERIES,
    STUDY,
    Image,
    World,
    open_engine,
    pseudonym,
)

# Two contributors, two patients with two studies each (one UID shared), two series each, two images a series;
# the second contributor adds to the series of the first patient. Some are not published, some withheld.
IMAGES = [
    Image(
        f"1.{who}.{patient}.{study}.{series}.{number}",
        patient=f"P{patient}",
        name=f"Name{patient}",
        study=f"2.{patient if study else 9}.{study}",
        series=f"3.{patient}.{study}.{series}",
        contributor=(ALPHA, BETA)[who],
        values={"Modality": ("CT", "MR")[series]},
    )
    for who, patient, study, series, number in product((0, 1), (1, 2), (0, 1), (0, 1), (1, 2))
    if (who, patient) != (1, 2)
]
PENDING = {image.uid for image in IMAGES[::7]}
WITHHELD = {image.uid for image in IMAGES[::5]} - PENDING
PUBLISHED = [image for image in IMAGES if image.uid not in PENDING | WITHHELD]

ISSUERS, USERS, ROLES = ("idp", SHARED, None), ("ann", "bob"), ("reader", None)
CALLERS = st.builds(
    Caller,
    name=st.just("caller"),
    assertions=st.builds(
        Assertions, issuer=st.sampled_from(ISSUERS), user=st.sampled_from(USERS), role=st.sampled_from(ROLES)
    ),
    may=st.sets(st.sampled_from([Right.FIND, Right.RETRIEVE, Right.PHI])).map(frozenset)
    | st.just(frozenset(Right)),
)
WHO = st.builds(
    Who, issuer=st.sampled_from(ISSUERS), user=st.sampled_from((*USERS, None)), role=st.sampled_from(ROLES)
)


@st.composite
def whats(draw):
    image = draw(st.sampled_from(IMAGES))
    by = draw(st.sampled_from((None, 1, 2)))
    depth = draw(st.integers(0, 4))
    if depth == 0:
        return draw(st.sampled_from((What(), What(facility="Alpha"), What(facility="Gone"))))
    if depth == 1:
        return What(contributor_id=draw(st.sampled_from((1, 2))))
    names = {
        "patient_key": image.patient_key,
        "study_key": pseudonym(image.study),
        "series_key": pseudonym(image.series),
    }
    return What(contributor_id=by, **dict(list(names.items())[: depth - 1]))


RIGHTS = st.sets(st.sampled_from([Right.FIND, Right.RETRIEVE, Right.PHI]), min_size=1).map(frozenset)

# Through whose gateway somebody asks: its cache holds some of the pending ones, all, or none; or it has none.
OWN = {image.uid for image in IMAGES[::14]} & PENDING
REACHES = st.sampled_from((None, OWN, PENDING, set()))


def through(world, own):
    """Ask through a gateway whose cache holds these of the pending images; returns the images there are."""
    held = sorted(own) if own is not None else []

    def holds(row_id):
        instance = PHI.instance.alias()
        mine = instance.c.sop_instance_uid
        return exists().where(instance.c.id == row_id, or_(false(), *(mine == literal(uid) for uid in held)))

    elsewhere = literal(1) == literal(int(own != PENDING))
    world.reach = None if own is None else Reach(str(held), holds, elsewhere)
    return [image for image in IMAGES if own is None or image.uid in own or image.uid not in PENDING]


# Mostly in force; else over since now or since before, or to begin in the next millisecond.
TERMS = st.sampled_from(
    (
        *[(0, FOR_EVER_MS), (0, NOW + 1), (NOW, NOW + 1), (NOW, NOW + 10)] * 2,
        (0, NOW),
        (NOW - 1, NOW),
        (NOW + 1, NOW + 2),
    )
)

# The patients of the images, and two of whom nothing is here: a person may be joined over them.
KEYS = (*sorted({image.patient_key for image in IMAGES}), "between", "beyond")
TWO_PERSONS = [(KEYS[0], "between"), (KEYS[1], "beyond")]
LINKS = st.lists(st.sampled_from(list(combinations(KEYS, 2))), max_size=4, unique=True) | st.just(TWO_PERSONS)


@st.composite
def a_grant(draw):
    begins, ends = draw(TERMS)
    return Grant(
        who=draw(WHO),
        what=draw(whats()),
        may=draw(RIGHTS),
        allow=draw(st.sampled_from((True, True, True, False))),
        not_before_ms=begins,
        not_after_ms=ends,
    )


@st.composite
def a_refusal(draw):
    """A denial on a patient, of which most cover whoever it is linked with."""
    begins, ends = draw(TERMS)
    return Grant(
        who=draw(st.just(ANYONE) | WHO),
        what=What(patient_key=draw(st.sampled_from(KEYS)), linked=draw(st.sampled_from((True, True, False)))),
        may=draw(st.just(frozenset(Right)) | RIGHTS),
        allow=False,
        not_before_ms=begins,
        not_after_ms=ends,
    )


@st.composite
def rules(draw, most):
    """What is granted, denied and linked; half of the time all is open but for what persons refuse."""
    if draw(st.booleans()):
        given = draw(st.lists(a_grant(), max_size=most))
        said = draw(LINKS)
    else:
        given = [
            Grant(ANYONE, What(), frozenset(Right)),
            *draw(st.lists(a_refusal(), min_size=1, max_size=3)),
        ]
        said = draw(LINKS.filter(bool))
    taken_back = draw(LINKS)
    return Rules(tuple(given), tuple(said), tuple(pair for pair in taken_back if pair not in said))


@dataclass(frozen=True)
class Rules:
    """Grants, pairs of linked patients, and pairs that were linked for a while."""

    grants: tuple[Grant, ...]
    links: tuple[tuple[str, str], ...]
    taken_back: tuple[tuple[str, str], ...]

    def linked_with(self, patient_key):
        """Everybody reached over the links, found anew for each question."""
        reached = {patient_key}
        for _step in KEYS:
            reached |= {each for pair in self.links if reached & set(pair) for each in pair}
        return frozenset(reached - {patient_key})


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def world(request, tmp_path_factory):
    if request.param == "sqlite":
        yield from _populated(f"sqlite:///{tmp_path_factory.mktemp('catalog') / 'catalog.db'}")
    else:
        with request.getfixturevalue("postgres_server").database() as url:
            yield from _populated(url)


def _populated(url):
    engine = open_engine(url)
    world = World(engine)
    for each in (ALPHA, BETA):  # one after the other: the first is contributor 1
        world.store(*(image for image in IMAGES if image.contributor is each))
    world.publish(*PUBLISHED, withheld=[image for image in IMAGES if image.uid in WITHHELD])
    with engine.connect() as connection:
        ids = dict(connection.execute(select(contributor.c.assertions, contributor.c.id)).all())
    assert [ids[ALPHA.canonical()], ids[BETA.canonical()]] == [1, 2]
    yield world
    engine.dispose()


def subject(image, links):
    owner = 1 if image.contributor is ALPHA else 2
    keys = (image.patient_key, pseudonym(image.study), pseudonym(image.series))
    return Subject(image.facility, owner, *keys, linked=links(image.patient_key))


def holds(callers, rights, image, given):
    about = subject(image, given.linked_with)
    return isinstance(decide_all(callers, rights, about, given.grants, NOW), Granted)


def visible(caller, given, there=IMAGES):
    """(original, image) pairs a caller finds among the images there are, by the pure decision alone."""
    originals = {image.uid for image in there if holds([caller], FIND_ORIGINAL, image, given)}
    released = [
        image
        for image in PUBLISHED
        if image.uid not in originals and holds([caller], FIND_DEIDENTIFIED, image, given)
    ]
    return [(True, image) for image in there if image.uid in originals] + [
        (False, image) for image in released
    ]


def lay_down(world, given):
    with world.engine.begin() as connection:
        for table in (grants, patient_link, linked_patient):
            connection.execute(delete(table))
        for one, other in (*given.taken_back, *given.links):
            assert link(connection, Link(one, other, NOW, "", ""))
        for one, other in given.taken_back:
            assert unlink(connection, other, one)
        return replace(given, grants=tuple(write(connection, grant) for grant in given.grants))


def counted(pairs, entity, *counts):
    """{(original, entity): counts} over visible images; an entity never has its contributor in it."""
    found = {}
    for original, image in pairs:
        found.setdefault((original, entity(image)), []).append(image)
    return {
        key: tuple(len({count(image) for image in images}) for count in counts)
        for key, images in found.items()
    }


def series_of(image):
    return (image.study, image.series)


MANY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@MANY
@given(caller=CALLERS, given_rules=rules(7), own=REACHES)
def test_find_sees_and_counts_what_the_decision_grants(world, caller, given_rules, own):
    held = lay_down(world, given_rules)
    pairs = visible(caller, held, through(world, own))

    images = world.find(caller, IMAGE, "SOPInstanceUID")
    expected = {(original, image.uid if original else pseudonym(image.uid)) for original, image in pairs}
    assert {(match.original, match.values["SOPInstanceUID"]) for match in images} == expected
    assert len(images) == len(expected)

    names = (
        "NumberOfPatientRelatedStudies",
        "NumberOfPatientRelatedSeries",
        "NumberOfPatientRelatedInstances",
    )
    patients = world.find(caller, PATIENT, "PatientID", *names)
    by_patient = counted(
        pairs, lambda image: image.patient, lambda image: image.study, series_of, lambda image: image.uid
    )
    shown = {
        (match.original, match.values["PatientID"]): tuple(match.values[name] for name in names)
        for match in patients
    }
    upper = {image.patient_key.upper(): image.patient for image in IMAGES}
    assert {
        (original, upper.get(name, name)): counts for (original, name), counts in shown.items()
    } == by_patient
    assert len(patients) == len(by_patient)

    names = ("ModalitiesInStudy", "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances")
    studies = world.find(caller, STUDY, "PatientID", "StudyInstanceUID", *names)
    by_study = counted(
        pairs,
        lambda image: (image.patient, image.study),
        lambda image: image.values["Modality"],
        series_of,
        lambda image: image.uid,
    )
    back = {pseudonym(image.study): image.study for image in IMAGES}
    shown = {}
    for match in studies:
        patient, study = match.values["PatientID"], match.values["StudyInstanceUID"]
        modalities, series, instances = (match.values[name] for name in names)
        key = (match.original, (upper.get(patient, patient), back.get(study, study)))
        assert key not in shown
        shown[key] = (len(modalities), series, instances)
    assert shown == by_study

    series = world.find(caller, SERIES, "NumberOfSeriesRelatedInstances", "SeriesInstanceUID")
    by_series = counted(pairs, lambda image: image.series, lambda image: image.uid)
    back = {pseudonym(image.series): image.series for image in IMAGES}
    assert {
        (match.original, back.get(uid := match.values["SeriesInstanceUID"], uid)): (
            match.values["NumberOfSeriesRelatedInstances"],
        )
        for match in series
    } == by_series


@MANY
@given(caller=CALLERS, destination=st.none() | CALLERS, given_rules=rules(7), own=REACHES)
def test_retrieve_sends_what_the_decision_grants_to_both(world, caller, destination, given_rules, own):
    held, there = lay_down(world, given_rules), through(world, own)
    concerned = [caller] if destination is None else [caller, replace(destination, name="destination")]
    expected = {image.uid for image in there if holds(concerned, RETRIEVE_ORIGINAL, image, held)}
    expected |= {
        pseudonym(image.uid) for image in PUBLISHED if holds(concerned, RETRIEVE_DEIDENTIFIED, image, held)
    }
    every = {uid for image in IMAGES for uid in (image.uid, pseudonym(image.uid))}
    sent = world.retrieve(caller, IMAGE, destination, SOPInstanceUID=tuple(every))
    assert {each.sop_instance_uid for each in sent} == expected
    assert len(sent) == len(expected)


@MANY
@given(caller=CALLERS, given_rules=rules(5), modality=st.sampled_from(["CT", "MR", "US"]), own=REACHES)
def test_a_study_matches_by_the_series_the_caller_sees(world, caller, given_rules, modality, own):
    held = lay_down(world, given_rules)
    seen = visible(caller, held, through(world, own))
    pairs = [(original, image) for original, image in seen if image.values["Modality"] == modality]
    expected = {(original, image.patient, image.study) for original, image in pairs}
    found = world.find(caller, STUDY, "PatientID", "StudyInstanceUID", ModalitiesInStudy=modality)
    upper = {image.patient_key.upper(): image.patient for image in IMAGES}
    back = {pseudonym(image.study): image.study for image in IMAGES}
    assert {
        (
            match.original,
            upper.get(match.values["PatientID"], match.values["PatientID"]),
            back.get(match.values["StudyInstanceUID"], match.values["StudyInstanceUID"]),
        )
        for match in found
    } == expected
