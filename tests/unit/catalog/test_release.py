import pytest
from sqlalchemy import insert
from sqlalchemy.exc import SQLAlchemyError

from catalog import release
from catalog.audit import trail
from catalog.audit.values import Event
from catalog.query import InvalidQuery, Key, Query, Root
from catalog.release import Asker, Releases
from catalog.tables import audit, contributor
from tests.unit.catalog.world import (
    NOW,
    PATIENT,
    STUDY,
    Image,
    alpha,
    ceiled,
    open_engine,
    pseudonym,
    researcher,
)

WRITER = "gateway-1/dicom"
EVERY_STUDY = Query(Root.STUDY, STUDY, (Key("StudyInstanceUID"), Key("PatientName", ("SMITH*",))))


@pytest.fixture
def releases(engine):
    return Releases(engine, WRITER, lambda: NOW)


def recorded(engine):
    with engine.connect() as connection:
        return [entry.happening for entry in trail.entries(connection, WRITER)]


def test_originals_are_recorded_with_who_asked_what_and_whose_they_are(world, releases, engine):
    image = Image("1.1")
    world.store_and_publish(image)
    (match,) = releases.find(EVERY_STUDY, Asker(alpha, "10.1.2.3"))
    assert match.original
    (kept,) = recorded(engine)
    assert (kept.event, kept.caller, kept.address, kept.count) == (
        Event.RELEASE,
        "alpha <dr.no@>",
        "10.1.2.3",
        1,
    )
    assert kept.patients == (image.patient_key,)
    assert kept.detail == {
        "how": "find",
        "root": "study",
        "level": "STUDY",
        "keys": {"PatientName": ["SMITH*"]},
        "studies": [{"patient": image.patient_key, "study": pseudonym(image.study)}],
    }


@pytest.mark.parametrize("caller", [researcher, ceiled])
def test_what_is_not_identifying_needs_no_record_to_leave(world, releases, engine, caller):
    world.store_and_publish(Image("1.1"))
    everything = Query(Root.STUDY, STUDY, (Key("StudyInstanceUID"),))
    assert [match.original for match in releases.find(everything, Asker(caller))] == [False]
    named = Query(Root.STUDY, STUDY, (Key("StudyInstanceUID", ("1.2.1",)),))
    assert releases.retrieve(named, Asker(caller)) == []
    assert recorded(engine) == []


def test_what_is_named_to_be_sent_is_recorded_with_who_receives(world, releases, engine):
    world.store_and_publish(Image("1.1"), Image("1.2"))
    named = Query(Root.STUDY, STUDY, (Key("StudyInstanceUID", ("1.2.1",)),))
    assert len(releases.retrieve(named, Asker(alpha, receiver=alpha))) == 2
    (kept,) = recorded(engine)
    assert (kept.count, kept.detail["how"], kept.detail["receiver"]) == (2, "retrieve", release.named(alpha))
    assert releases.retrieve(named, Asker(alpha, receiver=researcher)) == []
    assert len(recorded(engine)) == 1


def test_nothing_is_released_that_cannot_be_recorded(world, releases, engine, monkeypatch):
    world.store_and_publish(Image("1.1"))

    def refuse(connection, *_):
        connection.execute(insert(audit), {"writer": None})

    monkeypatch.setattr(trail, "append", refuse)
    with pytest.raises(SQLAlchemyError):
        releases.find(EVERY_STUDY, Asker(alpha))
    named = Query(Root.STUDY, STUDY, (Key("StudyInstanceUID", ("1.2.1",)),))
    with pytest.raises(SQLAlchemyError):
        releases.retrieve(named, Asker(alpha))


def test_a_large_answer_leaves_page_by_page_each_recorded_first(world, releases, engine, monkeypatch):
    monkeypatch.setattr(release, "_FIRST_PAGE", 2)
    monkeypatch.setattr(release, "_LAST_PAGE", 4)
    images = [Image(f"1.{number}", study=f"1.2.{number}", series=f"1.2.{number}.1") for number in range(11)]
    world.store(*images)
    found = releases.find(EVERY_STUDY, Asker(alpha))
    assert [kept.count for kept in recorded(engine)] == [2]
    uids = [match.values["StudyInstanceUID"] for match in found]
    assert sorted(uids) == sorted(image.study for image in images)
    assert [kept.count for kept in recorded(engine)] == [2, 4, 4, 1]


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 11, 50])
def test_a_limit_holds_over_pages(world, releases, monkeypatch, limit):
    monkeypatch.setattr(release, "_FIRST_PAGE", 2)
    images = [Image(f"1.{number}", study=f"1.2.{number}", series=f"1.2.{number}.1") for number in range(11)]
    world.store(*images)
    query = Query(Root.STUDY, STUDY, (Key("StudyInstanceUID"),), limit=limit)
    assert len(list(releases.find(query, Asker(alpha)))) == min(limit, 11)


def test_a_query_that_cannot_be_answered_says_so_at_once(releases):
    with pytest.raises(InvalidQuery):
        releases.find(Query(Root.STUDY, PATIENT, ()), Asker(alpha))


def test_what_is_asked_is_kept_short():
    query = Query(
        Root.STUDY,
        STUDY,
        (Key("StudyInstanceUID", tuple(map(str, range(100_000)))), Key("StudyID", ("x" * 9999,))),
    )
    kept = release.asked(query)["keys"]
    assert kept["StudyInstanceUID"][-1] == "and 99980 more"
    assert len(kept["StudyInstanceUID"]) == 21
    assert len(kept["StudyID"][0]) == 128


def test_a_reader_overtaken_by_a_writer_begins_anew(tmp_path):
    """SQLite: a snapshot that is no longer the newest cannot be written from."""
    engine = open_engine(f"sqlite:///{tmp_path / 'busy.db'}")
    other = open_engine(f"sqlite:///{tmp_path / 'busy.db'}")
    deferring = Releases(engine, WRITER, lambda: NOW)
    looked = []

    def look(connection, now_ms):
        looked.append(len(connection.execute(contributor.select()).all()))
        if len(looked) == 1:
            with other.begin() as writing:
                row = {"facility": "Alpha", "digest": "d", "assertions": "{}", "first_ms": 1}
                writing.execute(insert(contributor), row)
        return "found", [release.Happening(Event.RELEASE, "alpha")]

    assert deferring._recorded(look) == "found"
    assert looked == [0, 1]
    assert len(recorded(engine)) == 1
    engine.dispose()
    other.dispose()
