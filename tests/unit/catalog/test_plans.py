"""How queries are carried out: by indexes, in a number of statements that does not grow with the hits."""

from contextlib import contextmanager

import pytest
from sqlalchemy import event

from catalog.callers import Right
from catalog.grants import Grant, What, Who, write
from tests.unit.catalog.world import (
    ALPHA,
    BETA,
    FULL,
    IMAGE,
    SERIES,
    STUDY,
    Image,
    World,
    alpha,
    open_engine,
    researcher,
)

KEYS = (
    "StudyDate",
    "PatientName",
    "PatientID",
    "StudyInstanceUID",
    "ModalitiesInStudy",
    "NumberOfStudyRelatedSeries",
    "NumberOfStudyRelatedInstances",
)
INDEXED = [
    (STUDY, {"PatientID": "P1"}),
    (STUDY, {"PatientID": "P*"}),
    (STUDY, {"AccessionNumber": "ACC1.2.1"}),
    (STUDY, {"StudyInstanceUID": "1.2.1"}),
    (STUDY, {"StudyInstanceUID": ["1.2.1", "1.2.2"]}),
    (STUDY, {"StudyDate": "20240301-20240302"}),
    (STUDY, {"PatientName": "SMI*"}),
    (STUDY, {"PatientName": "Smith^John"}),
    (STUDY, {"PatientName": "joh smi", "fuzzy": True}),
    (STUDY, {"PatientBirthDate": "19700101"}),
    (SERIES, {"StudyInstanceUID": "1.2.1"}),
    (SERIES, {"SeriesInstanceUID": "1.2.1.1"}),
    (IMAGE, {"SeriesInstanceUID": "1.2.1.1"}),
    (IMAGE, {"SOPInstanceUID": ["1.1", "1.2"]}),
]


@contextmanager
def statements(engine):
    """Collect (SQL, parameters) as the driver gets them."""
    seen = []

    def note(_connection, _cursor, statement, parameters, _context, _many):
        seen.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)


@pytest.fixture
def world(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path / 'catalog.db'}")
    made = World(engine)
    images = [
        Image(
            f"1.{n}", study=f"1.2.{n}", series=f"1.2.{n}.1", patient=f"P{n}", contributor=(ALPHA, BETA)[n % 2]
        )
        for n in range(40)
    ]
    made.store_and_publish(*images)
    with engine.begin() as connection:
        what = What(patient_key=images[1].patient_key)
        write(connection, Grant(who=Who(user=alpha.assertions.user), what=what, may=FULL))
    yield made
    engine.dispose()


def scanned(engine, seen):
    """The tables of instances, series, studies or patients that a plan walks from end to end."""
    plans = []
    with engine.connect() as connection:
        for statement, parameters in seen:
            if statement.lstrip().startswith("SELECT"):
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
                plans += [row[3] for row in plan]
    assert any("SEARCH" in step for step in plans)
    return [step for step in plans if step.startswith(("SCAN phi_", "SCAN deid_"))]


@pytest.mark.parametrize(("level", "given"), INDEXED, ids=str)
@pytest.mark.parametrize("caller", [alpha, researcher], ids=["cleared", "uncleared"])
def test_a_key_that_says_much_is_answered_by_an_index(world, level, given, caller):
    with statements(world.engine) as seen:
        world.find(caller, level, *KEYS, **given)
    assert scanned(world.engine, seen) == []


def test_a_retrieve_is_answered_by_indexes(world):
    with statements(world.engine) as seen:
        world.retrieve(alpha, STUDY, researcher, StudyInstanceUID=("1.2.1", "1.2.2"))
        world.retrieve(alpha, IMAGE, SOPInstanceUID="1.1")
    assert scanned(world.engine, seen) == []


def test_storing_is_done_by_indexes(world):
    with statements(world.engine) as seen:
        world.store(Image("5.1", study="5.2", series="5.3"), Image("1.1", content="other"), Image("1.2"))
    assert scanned(world.engine, seen) == []


def test_the_number_of_statements_does_not_grow_with_the_matches(world):
    counts = []
    for given in ({"PatientID": "P2"}, {"PatientID": "P*"}):
        world.find(alpha, STUDY, *KEYS, **given)
        with statements(world.engine) as seen:
            found = world.find(alpha, STUDY, *KEYS, **given)
        counts.append((len(found), len(seen)))
    (few, first), (many, second) = counts
    assert (few, many) == (1, 21)
    assert second <= first + 2  # the studies that a grant divides or contributors share are counted together


def test_a_batch_takes_few_statements(world):
    with statements(world.engine) as seen:
        world.store(*(Image(f"7.{n}", study="7.1", series="7.2") for n in range(200)))
    assert len(seen) < 30


def test_a_miss_costs_an_uncleared_caller_the_same_statements_as_a_hit(world):
    """A value that some original has, and one that none has."""
    seen = {}
    world.find(researcher, STUDY, *KEYS)  # what the caller holds is looked up once
    for value in ("P1", "NOBODY"):
        with statements(world.engine) as texts:
            assert world.find(researcher, STUDY, *KEYS, PatientID=value) == []
        seen[value] = [statement for statement, _parameters in texts]
    assert seen["P1"] == seen["NOBODY"]
    assert not any("phi_" in statement for statement in seen["P1"])
    assert Right.PHI in researcher.may
