"""Two grids that differ only in what is identifying answer a caller who is not cleared for it alike.

Alike in everything: values, order, pages, counts, refusals, the statements that were run, and the steps that
the database took for them. What cannot be told apart tells nothing, however cleverly it is asked.
"""

from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from catalog.callers import Assertions, Caller, Right
from catalog.extract import extract
from catalog.find import find
from catalog.grants import Grant, What, Who, write
from catalog.query import InvalidQuery, Key, Level, Query, Root
from catalog.retrieve import instances
from dgis.commitment.looking import look
from tests.unit.catalog.world import (
    BETA,
    EXPLICIT,
    NOW,
    Image,
    World,
    alpha,
    beta,
    ceiled,
    header,
    open_engine,
    pseudonym,
    researcher,
)

FULL = frozenset({Right.FIND, Right.RETRIEVE, Right.PHI})
# Some originals of Alpha's; in the other grid each of them is somebody else.
SECRETS = (
    {
        "PatientID": "SECRET1",
        "PatientName": "Canary^Yellow",
        "PatientBirthDate": "19510203",
        "AccessionNumber": "ACC77",
        "StudyDate": "20240311",
        "StudyTime": "083000",
        "StudyID": "SID9",
        "StudyDescription": "HEAD",
        "ReferringPhysicianName": "Doc^Tor",
    },
    {
        "PatientID": "AAA2",
        "PatientName": "Zebra^Blue",
        "PatientBirthDate": "20030405",
        "AccessionNumber": "B12",
        "StudyDate": "20191105",
        "StudyTime": "",
        "StudyID": "1",
        "StudyDescription": "",
        "ReferringPhysicianName": "",
    },
)


@dataclass(frozen=True)
class Disguised(Image):
    """An image whose pseudonyms and de-identified form stay, whatever its original says."""

    secret: tuple = ()
    uids: str = "1"  # the root of its original UIDs

    def original(self):
        return super().original() | dict(self.secret)

    def renamed(self):
        uids = {
            "StudyInstanceUID": f"{self.uids}.{self.study}",
            "SeriesInstanceUID": f"{self.uids}.{self.series}",
            "SOPInstanceUID": f"{self.uids}.{self.uid}",
        }
        return self.original() | uids

    def received(self):
        return replace(super().received(), attributes=extract(header(**self.renamed()), EXPLICIT))

    def deidentified(self):
        return Image(self.uid, study=self.study, series=self.series, patient=self.patient).deidentified()


def images(secrets, uids):
    """Three patients of Alpha's, two of them published, one only received; and one of Beta's."""
    for number in range(3):
        for series in range(2):
            secret = secrets[(number + series // 2) % len(secrets)]
            yield Disguised(
                f"9.{number}.{series}",
                study=f"8.{number}",
                series=f"7.{number}.{series}",
                patient=f"P{number}",
                secret=tuple(secret.items()),
                uids=uids,
            )


OWN = Image(
    "5.5", study="5.4", series="5.3", patient="B1", name="Smith^John", contributor=BETA, facility="Beta"
)
# Somebody with a grant on a patient who is not here: originals are looked for, and none is shown.
NARROW = Caller("narrow", Assertions(user="n", institution="Elsewhere"), FULL)


def populated(engine, secrets, uids):
    world = World(engine)
    all_of_it = list(images(secrets, uids))
    world.store(*all_of_it)
    world.store(OWN)
    published = all_of_it[:4]
    with engine.begin() as connection:
        write(connection, Grant(who=Who(user="n"), what=What(patient_key="f" * 20), may=FULL))
    world.publish(*map(_Row, published))
    world.publish(OWN, record="record-2")
    return world


class _Row:
    """A published image as `World.publish` looks for it: by the UID that its original has in this grid."""

    def __init__(self, image):
        self._image = image
        self.uid = image.renamed()["SOPInstanceUID"]

    def deidentified(self):
        return self._image.deidentified()


@pytest.fixture(scope="module")
def grids(tmp_path_factory):
    """Two grids whose originals have nothing in common but their pseudonyms."""
    made = []
    for name, secrets, uids in (("one", SECRETS, "1.11"), ("other", SECRETS[::-1], "1.22")):
        engine = open_engine(f"sqlite:///{tmp_path_factory.mktemp(name) / 'catalog.db'}")
        world = populated(engine, secrets, uids)
        # What a caller holds is looked up once and then remembered: in both grids before any is compared.
        for caller in (alpha, researcher, ceiled, beta, NARROW):
            answered(world, pages(Query(Root.STUDY, Level.STUDY, (Key("StudyInstanceUID"),)), caller))
        made.append(world)
    yield made
    for world in made:
        world.engine.dispose()


def guesses(keyword):
    """Values that an original has in one grid or the other, parts, ranges and lists of them, and misses."""
    held = [secret[keyword] for secret in SECRETS if secret.get(keyword)]
    if keyword.endswith("UID"):
        number = {"StudyInstanceUID": "8.1", "SeriesInstanceUID": "7.1.0", "SOPInstanceUID": "9.1.0"}[keyword]
        held = [f"1.11.{number}", f"1.22.{number}", pseudonym(number), "1.2.3.9"]
        return st.lists(st.sampled_from(held), min_size=1, max_size=4).map(tuple)
    if keyword.endswith("Date"):
        bounds = st.sampled_from([*held, "19000101", "20991231", ""])
        ranges = st.tuples(bounds, bounds).filter(any).map("-".join)
        return st.one_of(st.sampled_from([*held, "CANARY", "-"]), ranges).map(lambda one: (one,))
    wild = [f"{value[:2]}*" for value in held] + [f"*{value[2:]}" for value in held] + ["*", "?" * 7]
    return st.sampled_from([*held, *wild, "NOBODY", "' OR 1=1 --", "%", "A*" * 20]).map(lambda one: (one,))


LEVELS = {
    Level.PATIENT: ("PatientID", "PatientName", "PatientBirthDate"),
    Level.STUDY: ("PatientID", "PatientName", "StudyInstanceUID", "StudyDate", "AccessionNumber", "StudyID"),
    Level.SERIES: ("StudyInstanceUID", "SeriesInstanceUID", "PatientID", "StudyDate"),
    Level.IMAGE: ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "PatientBirthDate"),
}
COUNTS = {
    Level.PATIENT: ("NumberOfPatientRelatedStudies", "NumberOfPatientRelatedInstances"),
    Level.STUDY: ("NumberOfStudyRelatedSeries", "ModalitiesInStudy", "SOPClassesInStudy"),
    Level.SERIES: ("NumberOfSeriesRelatedInstances",),
    Level.IMAGE: ("InstanceNumber",),
}


@st.composite
def queries(draw):
    level = draw(st.sampled_from(list(LEVELS)))
    asked = draw(st.lists(st.sampled_from(LEVELS[level]), unique=True, max_size=3))
    keys = [Key(keyword, draw(guesses(keyword))) for keyword in asked]
    keys += [Key(keyword) for keyword in (*LEVELS[level], *COUNTS[level]) if keyword not in asked]
    return Query(
        Root.PATIENT,
        level,
        tuple(keys),
        relational=True,
        fuzzy=draw(st.booleans()),
        combined_datetime=draw(st.booleans()),
        limit=draw(st.sampled_from([None, 1, 2])),
    )


@dataclass
class Seen:
    """What somebody with a stopwatch and a wire tap could see of an answer."""

    answer: object
    statements: list
    steps: int


@contextmanager
def watched(engine):
    """Count the virtual machine's steps of every statement, and collect their texts."""
    seen = Seen(None, [], 0)

    def note(_connection, _cursor, statement, _parameters, _context, _many):
        seen.statements.append(statement)

    def step():
        seen.steps += 1

    event.listen(engine, "before_cursor_execute", note)
    try:
        with engine.connect() as connection:
            connection.connection.driver_connection.set_progress_handler(step, 1)
            try:
                yield connection, seen
            finally:
                connection.connection.driver_connection.set_progress_handler(None, 0)
    finally:
        event.remove(engine, "before_cursor_execute", note)


def answered(world, look):
    with watched(world.engine) as (connection, seen):
        try:
            seen.answer = look(connection)
        except InvalidQuery as refused:
            seen.answer = (refused.fault, str(refused))
    return seen


def pages(query, caller):
    """Every page of an answer: what a caller sees that asks on and on."""

    def look(connection):
        found, after = [], None
        while page := list(find(connection, replace(query, after=after), caller, NOW)):
            found += [(dict(match.values), match.original, match.cursor) for match in page]
            after = page[-1].cursor
            if query.limit is None:
                break
        return found

    return look


UNCLEARED = st.sampled_from([researcher, ceiled])
CLEARED_FOR_OTHERS = st.sampled_from([beta, NARROW])
MANY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@MANY
@given(query=queries(), caller=UNCLEARED)
def test_a_question_is_answered_as_if_the_originals_were_others(grids, query, caller):
    one, other = (answered(world, pages(query, caller)) for world in grids)
    assert one.answer == other.answer
    assert one.statements == other.statements
    assert one.steps == other.steps


@MANY
@given(query=queries(), caller=CLEARED_FOR_OTHERS)
def test_who_is_cleared_for_others_sees_no_more_of_these(grids, query, caller):
    """Their own are found; of Alpha's nothing shows. Rows that match are passed over: steps may differ."""
    one, other = (answered(world, pages(query, caller)) for world in grids)
    assert one.answer == other.answer
    assert one.statements == other.statements


@MANY
@given(
    level=st.sampled_from([Level.STUDY, Level.SERIES, Level.IMAGE]),
    data=st.data(),
    caller=UNCLEARED | CLEARED_FOR_OTHERS,
    destination=st.sampled_from([None, alpha, researcher]),
)
def test_a_retrieve_names_what_it_would_if_the_originals_were_others(grids, level, data, caller, destination):
    """To whomever it is sent: a destination that is cleared opens nothing for who asks."""
    keyword = {"STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID", "IMAGE": "SOPInstanceUID"}[
        level.value
    ]
    query = Query(Root.STUDY, level, (Key(keyword, data.draw(guesses(keyword))),), relational=True)

    def look(connection):
        return list(instances(connection, query, caller, destination, NOW))

    one, other = (answered(world, look) for world in grids)
    assert one.answer == other.answer
    assert one.statements == other.statements
    assert one.steps == other.steps or caller in (beta, NARROW)
    assert not any(ref.original for ref in one.answer)


def test_the_grids_do_differ_for_the_cleared(grids):
    """What the tests above compare is there to be found."""
    query = Query(Root.PATIENT, Level.STUDY, (Key("PatientName", ("Canary*",)), Key("StudyInstanceUID")))
    query = replace(query, relational=True)
    one, other = (answered(world, pages(query, alpha)).answer for world in grids)
    assert one
    assert other
    assert one != other
    whole = Query(Root.PATIENT, Level.STUDY, (Key("StudyInstanceUID"),), relational=True)
    found = answered(grids[0], pages(whole, researcher)).answer
    assert len(found) == 3  # Beta's, and two of Alpha's that are published; the third is in the cache alone


@MANY
@given(uids=guesses("SOPInstanceUID"), caller=UNCLEARED)
def test_a_commitment_is_judged_as_if_the_originals_were_others(grids, uids, caller):
    one, other = (answered(world, lambda c: look(c, uids, caller, NOW)) for world in grids)
    assert one.answer == other.answer == {}
    assert one.statements == other.statements
    assert one.steps == other.steps
