from dataclasses import replace

import pytest

from catalog.audit import trail
from catalog.audit.values import Outcome
from catalog.callers import ALL_RIGHTS, Right
from catalog.grants import Grant, What, Who, write
from dgis.configuration import Configuration
from dgis.identity.authenticate import Authenticator, Trust
from dgis.identity.issuers import Issuers
from dgis.web.explaining import Explaining, Question
from dgis.web.problems import Problem
from tests.unit.catalog.world import (
    BETA,
    NOW,
    Image,
    World,
    alpha,
    beta,
    open_engine,
    pseudonym,
    researcher,
)

MINE = Image("1.1")
THEIRS = Image("1.2", contributor=BETA, patient="P2", study="2.2", series="3.2")
NOWHERE = "1.2.3.999"
BOSS = replace(alpha, name="boss", may=ALL_RIGHTS)


@pytest.fixture
def world(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path / 'catalog.db'}")
    world = World(engine)
    world.store_and_publish(MINE, THEIRS)
    yield world
    engine.dispose()


@pytest.fixture
def ask(world):
    configuration = Configuration()
    trust = Trust(configuration.dicom.peers, Issuers(), "gateway-1")
    rehearsal = Authenticator(trust, world.engine, lambda: NOW, rehearsal=True)
    explaining = Explaining(configuration, world.engine, rehearsal, "gateway-1/web", lambda: NOW)

    def ask(asker, study, **question):
        return explaining.answer(asker, "127.0.0.1", Question(study=study, **question))

    return ask


def administering(world, **what):
    with world.engine.begin() as connection:
        write(
            connection,
            Grant(
                who=Who(institution=BOSS.assertions.institution),
                what=What(**what),
                may=frozenset({Right.ADMINISTER}),
            ),
        )


def recorded(world):
    with world.engine.connect() as connection:
        return [entry.happening for entry in trail.latest(connection, 100)]


def test_whoever_may_is_told_by_which_rule(ask):
    told = ask(alpha, MINE.study)
    assert told["granted"]
    assert any(step["grant"] is not None for step in told["steps"])


@pytest.mark.parametrize("operation", list(Right))
@pytest.mark.parametrize("caller", [alpha, beta, researcher], ids=lambda caller: caller.name)
@pytest.mark.parametrize("original", [None, True, False])
def test_what_is_hidden_is_explained_as_what_nobody_ever_used(ask, caller, operation, original):
    nothing = ask(caller, NOWHERE, operation=operation, original=original)
    for study in (MINE.study, THEIRS.study, pseudonym(MINE.study)):
        told = ask(caller, study, operation=operation, original=original)
        if not told["granted"]:
            assert {**told, "study": NOWHERE} == nothing


def test_some_of_it_is_hidden_and_some_told(ask):
    assert ask(alpha, MINE.study)["granted"]
    assert not ask(alpha, THEIRS.study)["granted"]
    assert ask(beta, THEIRS.study)["granted"]


def test_of_others_only_who_administers_may_ask(ask, world):
    about = {"caller": ["institution=Elsewhere"]}
    for study in (MINE.study, THEIRS.study, NOWHERE):
        with pytest.raises(Problem) as refused:
            ask(BOSS, study, **about)
        assert (refused.value.status, refused.value.reason) == (403, "not_administered")
    assert {happening.outcome for happening in recorded(world)} == {Outcome.MINOR_FAILURE}
    administering(world)
    told = ask(BOSS, MINE.study, **about)
    assert not told["granted"]
    assert any("originals are here" in step["words"] for step in told["steps"])
    with pytest.raises(Problem):
        ask(BOSS, NOWHERE, **about)


def test_a_ceiling_without_the_right_is_one_here_too(ask, world):
    administering(world)
    with pytest.raises(Problem):
        ask(replace(BOSS, may=ALL_RIGHTS - {Right.ADMINISTER}), MINE.study, caller=["user=x"])


def test_who_administers_part_of_the_catalog_asks_about_that_part(ask, world):
    administering(world, facility="Beta")
    with pytest.raises(Problem):
        ask(BOSS, MINE.study, caller=["user=x"])


def test_a_caller_may_be_named_as_a_peer(ask, world):
    administering(world)
    assert ask(BOSS, MINE.study, caller=["RESEARCH_1@127.0.0.1"])["caller"] == "RESEARCH_1"


@pytest.mark.parametrize("facts", [["NOBODY@192.0.2.1"], ["colour=red"], ["no fact"]])
def test_nobody_such_is_a_refusal(ask, world, facts):
    administering(world)
    with pytest.raises(Problem) as refused:
        ask(BOSS, MINE.study, caller=facts)
    assert refused.value.status == 400


def test_each_question_is_in_the_trail_before_it_is_answered(ask, world):
    ask(alpha, MINE.study)
    (happening,) = recorded(world)
    assert (happening.event.value, happening.detail["query"]["keys"]) == (
        "query",
        {"StudyInstanceUID": [MINE.study]},
    )
    assert happening.detail["how"] == "explain"


def test_a_series_that_is_hidden_hides_none_that_is_not(ask, world):
    world.store(Image("1.7", series="3.7"))  # of the same study, and not published
    assert ask(researcher, pseudonym(MINE.study), operation=Right.RETRIEVE)["granted"]
