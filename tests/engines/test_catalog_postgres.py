"""What only a server with many writers shows: races between gateways, and its own query plans."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import select, text

from catalog.contributors import contributor_digest
from catalog.ingest import Conflict, Duplicate, New, ingest
from catalog.links import Link, link, linked_with
from catalog.publish import Part, PublishedInstance, publish
from catalog.tables import DEID, PHI, conflict, contributor
from tests.unit.catalog.test_plans import INDEXED, KEYS, statements
from tests.unit.catalog.world import (
    ALPHA,
    BETA,
    EXPLICIT,
    NOW,
    PATIENT,
    STUDY,
    Image,
    World,
    alpha,
    open_engine,
    researcher,
    rows,
)

pytestmark = pytest.mark.postgres
GATEWAYS = 4


@pytest.fixture
def world(postgres_url):
    engine = open_engine(postgres_url)
    yield World(engine)
    engine.dispose()


def at_once(work):
    """Run `work(n)` for each gateway, all starting together; returns what each returned."""
    barrier = Barrier(GATEWAYS)

    def run(number):
        barrier.wait(30)
        return work(number)

    with ThreadPoolExecutor(GATEWAYS) as pool:
        return list(pool.map(run, range(GATEWAYS)))


def test_gateways_storing_the_same_images_make_each_of_them_once(world):
    images = [Image(f"1.{n}", series=f"3.{n % 3}") for n in range(30)]

    def store(number):
        mine = images[number * 7 :] + images[: number * 7]  # each in an order of its own
        with world.engine.begin() as connection:
            return ingest(connection, [image.received() for image in mine])

    outcomes = [outcome for each in at_once(store) for outcome in each]
    assert sum(isinstance(outcome, New) for outcome in outcomes) == len(images)
    assert sum(isinstance(outcome, Duplicate) for outcome in outcomes) == len(images) * (GATEWAYS - 1)
    assert [row["instance_count"] for row in rows(world.engine, PHI.series)] == [10, 10, 10]
    assert [row["instance_count"] for row in rows(world.engine, PHI.patient)] == [30]
    assert len(rows(world.engine, contributor)) == 1


def test_of_different_bytes_under_one_uid_one_wins_and_the_rest_are_kept(world):
    def store(number):
        image = Image("1.1", content=f"gateway {number}", study=f"2.{number}", series=f"3.{number}")
        with world.engine.begin() as connection:
            return ingest(connection, [image.received()])[0]

    outcomes = at_once(store)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Conflict"] * 3 + ["New"]
    assert len({outcome for outcome in outcomes if isinstance(outcome, Conflict)}) == GATEWAYS - 1
    assert len(rows(world.engine, conflict)) == GATEWAYS - 1
    # Studies that only a loser named hold nothing and are found by nobody.
    assert len(world.find(alpha, STUDY, "StudyInstanceUID")) == 1
    assert world.values(alpha, PATIENT, "NumberOfPatientRelatedStudies") == [1]


def test_gateways_adding_to_one_study_count_every_image(world):
    def store(number):
        images = [
            Image(f"1.{number}.{n}", series=f"3.{n % 2}", contributor=(ALPHA, BETA)[number % 2])
            for n in range(40)
        ]
        for start in range(0, 40, 4):
            with world.engine.begin() as connection:
                ingest(connection, [image.received() for image in images[start : start + 4]])

    at_once(store)
    assert sorted(row["instance_count"] for row in rows(world.engine, PHI.study)) == [80, 80]
    assert sorted(row["instance_count"] for row in rows(world.engine, PHI.series)) == [40] * 4


def test_links_made_at_once_make_one_person(world):
    def join(number):
        with world.engine.begin() as connection:
            return link(connection, Link(f"k{number}", f"k{number + 1}", NOW, "", ""))

    assert at_once(join) == [True] * GATEWAYS
    with world.engine.connect() as connection:
        assert linked_with(connection, "k0") == {f"k{number + 1}" for number in range(GATEWAYS)}


def test_two_publishers_of_one_part_publish_it_once(world):
    images = [Image(f"1.{n}") for n in range(10)]
    world.store(*images)
    with world.engine.connect() as connection:
        ids = connection.execute(select(PHI.instance.c.id).order_by(PHI.instance.c.id)).scalars().all()

    def release(number):
        parts = [
            PublishedInstance(row, place, image.deidentified(), EXPLICIT, 9)
            for place, (row, image) in enumerate(zip(ids, images, strict=True))
        ]
        with world.engine.begin() as connection:
            return publish(connection, Part(f"record-{number}", parts, [], NOW))

    assert sorted(at_once(release)) == [0, 0, 0, 10]
    assert len({row["record_key"] for row in rows(world.engine, PHI.instance)}) == 1
    assert [row["instance_count"] for row in rows(world.engine, DEID.series)] == [10]


@pytest.mark.parametrize(("level", "given"), INDEXED, ids=str)
def test_indexes_serve_what_says_much(world, level, given):
    """With sequential scans priced out, none is left where an index can serve."""
    images = [Image(f"1.{n}", study=f"1.2.{n}", series=f"1.2.{n}.1", patient=f"P{n}") for n in range(20)]
    world.store_and_publish(*images)
    for caller in (alpha, researcher):
        with statements(world.engine) as seen:
            world.find(caller, level, *KEYS, **given)
        with world.engine.connect() as connection:
            connection.execute(text("SET enable_seqscan = off"))
            for statement, parameters in seen:
                if "phi_" in statement or "deid_" in statement:
                    plan = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters).scalars().all()
                    assert not [step for step in plan if "Seq Scan on" in step and "contributor" not in step]


def test_a_contributor_is_known_by_its_digest(world):
    world.store(Image("1.1"))
    assert [row["digest"] for row in rows(world.engine, contributor)] == [contributor_digest(ALPHA)]
