"""The doors decide alike: for whom, for what and when, generated; and as the pure decision says.

DICOM is asked from the bytes of an identifier to what the door would send; the command line by its commands;
HTTP by requests with a client certificate: explanations and searches.
"""

import asyncio
import json
from dataclasses import dataclass, replace
from types import SimpleNamespace

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from catalog.callers import Caller
from catalog.decision import RETRIEVE_DEIDENTIFIED, RETRIEVE_ORIGINAL
from catalog.grants import Grant, What, Who
from catalog.query import Level, Root
from catalog.release import Releases
from dgis import database, parts
from dgis.cli.find import resolve
from dgis.cli.main import app
from dgis.cli.opening import opened
from dgis.configuration import AssertionSet, Configuration, Peer
from dgis.dicomweb.door import WebDoor
from dgis.dicomweb.feeding import Threads
from dgis.dicomweb.images import Images
from dgis.dicomweb.pages import Pages
from dgis.dicomweb.routes import routes as routes_of_dicomweb
from dgis.dimse.identifier import Options, read_identifier, to_query, to_retrieval
from dgis.dimse.services import Session
from dgis.door import Behind, Door
from dgis.identity.authenticate import Authenticator, Trust
from dgis.identity.issuers import Issuers
from dgis.identity.peers import caller_of
from dgis.trail.recorder import Recorder
from dgis.web.application import application
from dgis.web.connection import CERTIFICATE
from dgis.web.explaining import Explaining
from dgis.web.explaining import routes as routes_of_explaining
from dgis.web.limits import Limits
from dgis.web.logins import Logins
from tests.property.test_catalog_decision import (
    ALPHA,
    BETA,
    IMAGES,
    PUBLISHED,
    WITHHELD,
    Rules,
    holds,
    lay_down,
    rules,
    visible,
    whats,
)
from tests.tools.client import encode, query
from tests.tools.logging_apart import logging_apart
from tests.tools.wire import IMPLICIT
from tests.unit.catalog.world import FULL, NOW, World, pseudonym
from tests.unit.dgis.identity.makers import client_certificate

GATEWAY = "gateway-1"
RIGHTS = ("find", "retrieve", "phi")
UIDS = tuple(uid for image in IMAGES for uid in (image.uid, pseudonym(image.uid)))

# Somebody who states some of these, and grants to who states some of them: as often a match as not.
STATED = st.fixed_dictionaries(
    {},
    optional={
        "user": st.sampled_from(("ann", "bob")),
        "institution": st.sampled_from((ALPHA.institution, BETA.institution)),
        "department": st.just("Radiology"),
        "role": st.just("reader"),
    },
)
TO_STATED = st.builds(
    Grant,
    who=STATED.map(lambda stated: Who(**stated)),
    what=whats(),
    may=st.sets(st.sampled_from(sorted(FULL, key=lambda right: right.value)), min_size=1).map(frozenset),
    allow=st.sampled_from((True, True, False)),
)

GIVEN = st.builds(
    lambda more, given: replace(given, grants=(*more, *given.grants)),
    st.lists(TO_STATED, max_size=4),
    rules(4),
)


@dataclass
class Doors:
    """One catalog and the doors to it."""

    world: World
    home: object
    door: Door

    def environment(self, stated: dict) -> dict[str, str]:
        return {"DGIS__CLI__ASSERTIONS": json.dumps(stated)}

    def by_dicom(self, caller: Caller, level: str, keyword: str) -> set[str]:
        """What C-FIND answers: values of a keyword."""
        identifier = self._identifier(level, keyword)
        asked = to_query(identifier, Root.PATIENT, Options(relational=True))
        return {match.values[keyword] for match in self.door.find(session(caller), asked)}

    def sent_by_dicom(self, caller: Caller, uid: str, level: str = "IMAGE") -> set[str]:
        """What C-GET sends for the UID of an image, or of a study."""
        keyword = "SOPInstanceUID" if level == "IMAGE" else "StudyInstanceUID"
        identifier = self._identifier(level, keyword, uid)
        asked = to_retrieval(identifier, Root.STUDY, Options(relational=True))
        return {ref.sop_instance_uid for ref in self.door.retrieve(session(caller), asked, None)}

    def by_command(self, stated: dict, level: str, keyword: str) -> set[str]:
        """What `dgis find` prints: values of a keyword."""
        command = [
            "find",
            level.lower(),
            "-k",
            keyword,
            "--limit",
            "10000",
            "--json",
            "--home",
            str(self.home),
        ]
        done = CliRunner().invoke(app, command, env=self.environment(stated))
        assert done.exit_code == 0, done.output + repr(done.exception)
        return {row[keyword] for row in json.loads(done.stdout)}

    def by_http(self, stated: dict, studies: list[str], operation: str) -> dict[str, bool]:
        """What `/api/explain` says that somebody may do with each of these studies."""

        async def asked(client):
            wanted = [{"study": study, "operation": operation} for study in studies]
            answers = [await client.post("/api/explain", json=each) for each in wanted]
            return [answer.raise_for_status().json() for answer in answers]

        return {answer["study"]: answer["granted"] for answer in self._over_http(stated, asked)}

    def by_qido(self, stated: dict, path: str, **asked: str) -> list[dict]:
        """What QIDO-RS answers."""

        async def searched(client):
            answer = await client.get(f"/dicom-web/{path}", params={**asked, "includefield": "all"})
            return answer.raise_for_status().json()

        return self._over_http(stated, searched)

    def _over_http(self, stated: dict, ask):
        entry = Peer(
            ae_title="PEER",
            assertions=AssertionSet(**stated),
            may=frozenset(RIGHTS),
            certificate_names=("DNS:peer.example",),
        )
        engine = self.world.engine
        authenticator = Authenticator(Trust((entry,), Issuers(), GATEWAY), engine, lambda: NOW)
        recorder = Recorder(engine, "test/web", lambda: NOW)
        logins = Logins(authenticator, recorder)
        explaining = Explaining(Configuration(), engine, authenticator, "test/web", lambda: NOW)
        releases = Releases(engine, "test/web", lambda: NOW)
        threads = Threads(2)
        web = WebDoor(Images(releases, None, None, None, None, recorder), logins, threads, Pages())
        routers = [routes_of_explaining(explaining, logins), routes_of_dicomweb(web)]
        door = application(routers, Limits(), lambda *_refused: None)

        async def presented(scope, receive, send):
            scope.setdefault("state", {})[CERTIFICATE] = CLIENT
            await door(scope, receive, send)

        async def asked():
            transport = httpx.ASGITransport(presented)
            async with httpx.AsyncClient(transport=transport, base_url="https://gateway") as client:
                return await ask(client)

        try:
            return asyncio.run(asked())
        finally:
            threads.close()

    @staticmethod
    def _identifier(level: str, keyword: str, value: str = ""):
        asked = query(level, **{keyword: value})
        root = Root.STUDY if value else Root.PATIENT
        return read_identifier(encode(asked), IMPLICIT, root, 1 << 20)


CLIENT = client_certificate("peer.example")
STUDIES = tuple(dict.fromkeys(each.study for each in IMAGES))


def session(caller: Caller) -> Session:
    return Session(1, caller, "DGIS", caller.name, "127.0.0.1")


def peer(stated: dict) -> Caller:
    """Who a peer entry makes of somebody, as the DICOM door admits it."""
    entry = Peer(ae_title="PEER", assertions=AssertionSet(**stated), may=frozenset(RIGHTS))
    return caller_of(entry, "PEER", GATEWAY)


@pytest.fixture(scope="module")
def doors(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    configuration = Configuration(gateway={"home": home, "name": GATEWAY})
    engine = database.open_engine(configuration)
    database.migrate(engine)
    world = World(engine)
    for each in (ALPHA, BETA):
        world.store(*(image for image in IMAGES if image.contributor is each))
    world.publish(*PUBLISHED, withheld=[image for image in IMAGES if image.uid in WITHHELD])
    unused = SimpleNamespace(prepare=list)
    releases = Releases(engine, "test/dicom", lambda: NOW)
    behind = Behind(releases, None, None, unused, None, None, None, lambda: NOW, None)
    with pytest.MonkeyPatch.context() as patch, logging_apart():
        patch.setattr(parts, "now_ms", lambda: NOW)
        yield Doors(world, home, Door(configuration, behind))
    engine.dispose()


FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
LEVELS = (
    ("PATIENT", "PatientID"),
    ("STUDY", "StudyInstanceUID"),
    ("SERIES", "SeriesInstanceUID"),
    ("IMAGE", "SOPInstanceUID"),
)


@FEW
@given(
    stated=STATED.filter(bool),
    given_rules=GIVEN,
    level=st.sampled_from(LEVELS),
)
def test_a_query_finds_the_same_by_every_door(doors, stated, given_rules, level):
    held = lay_down(doors.world, given_rules)
    caller = peer(stated)
    expected = {image.uid if original else pseudonym(image.uid) for original, image in visible(caller, held)}
    assert doors.by_dicom(caller, "IMAGE", "SOPInstanceUID") == expected
    assert doors.by_command(stated, "IMAGE", "SOPInstanceUID") == expected
    assert doors.by_command(stated, *level) == doors.by_dicom(caller, *level)


@FEW
@given(
    stated=STATED.filter(bool),
    given_rules=GIVEN,
    uids=st.lists(st.sampled_from(UIDS), min_size=1, max_size=6),
)
def test_a_retrieve_sends_the_same_by_every_door(doors, stated, given_rules, uids):
    held = lay_down(doors.world, given_rules)
    caller = peer(stated)
    may = {image.uid for image in IMAGES if holds([caller], RETRIEVE_ORIGINAL, image, held)}
    may |= {
        pseudonym(image.uid) for image in PUBLISHED if holds([caller], RETRIEVE_DEIDENTIFIED, image, held)
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in doors.environment(stated).items():
            patch.setenv(name, value)
        with opened(doors.home, None) as gateway:
            sent = {uid: {each.sop_instance_uid for each in resolve(gateway, uid)} for uid in uids}
    for uid in uids:
        expected = {uid} & may
        assert doors.sent_by_dicom(caller, uid) == expected
        assert sent[uid] == expected


@FEW
@given(
    stated=STATED.filter(bool),
    given_rules=GIVEN,
    studies=st.lists(st.sampled_from(STUDIES), min_size=1, max_size=2, unique=True),
)
def test_an_explanation_over_http_says_what_dicom_does(doors, stated, given_rules, studies):
    held = lay_down(doors.world, given_rules)
    caller = peer(stated)
    both = [*studies, *map(pseudonym, studies)]
    sent = {uid: bool(doors.sent_by_dicom(caller, uid, "STUDY")) for uid in both}
    assert doors.by_http(stated, both, "retrieve") == sent
    found = {image.study for original, image in visible(caller, held) if original}
    told = doors.by_http(stated, studies, "find")
    assert {uid for uid, granted in told.items() if granted} == found & set(studies)


def test_what_is_generated_is_worth_comparing(doors):
    """With a grant of everything the cleared see originals, others pseudonyms, by either door."""
    lay_down(doors.world, Rules((Grant(who=Who(user="ann"), what=What(), may=FULL),), (), ()))
    for stated, originals in (({"user": "ann"}, True), ({"user": "bob"}, False)):
        found = doors.by_command(stated, "IMAGE", "SOPInstanceUID")
        assert bool(found & {image.uid for image in IMAGES}) is originals
        assert found == doors.by_dicom(peer(stated), Level.IMAGE.value, "SOPInstanceUID")


TAGS = {"StudyInstanceUID": "0020000D", "SeriesInstanceUID": "0020000E", "SOPInstanceUID": "00080018"}
PATHS = {"STUDY": "studies", "SERIES": "series", "IMAGE": "instances"}
ASKED = st.one_of(
    st.just({}),
    st.sampled_from(["P1", "P2", "P*", "*", "?2", "nobody"]).map(lambda value: {"PatientID": value}),
    st.sampled_from(["DOE*", "*", "doe^john", "X"]).map(lambda value: {"PatientName": value}),
    st.sampled_from(["20200101-", "-20201231", "20200301"]).map(lambda value: {"StudyDate": value}),
    st.sampled_from(UIDS).map(lambda value: {"SOPInstanceUID": value}),
    st.sampled_from([*STUDIES, *map(pseudonym, STUDIES)]).map(lambda value: {"StudyInstanceUID": value}),
)


@FEW
@given(stated=STATED.filter(bool), given_rules=GIVEN, level=st.sampled_from(LEVELS[1:]), asked=ASKED)
def test_qido_answers_what_cfind_does(doors, stated, given_rules, level, asked):
    lay_down(doors.world, given_rules)
    name, keyword = level
    if "SOPInstanceUID" in asked and name != "IMAGE":
        asked = {}  # no key of that level: a search leaves it out, as C-FIND does
    identifier = read_identifier(encode(query(name, **{keyword: "", **asked})), IMPLICIT, Root.STUDY, 1 << 20)
    matches = doors.door.find(
        session(peer(stated)), to_query(identifier, Root.STUDY, Options(relational=True))
    )
    found = doors.by_qido(stated, PATHS[name], **asked)
    assert [one[TAGS[keyword]]["Value"][0] for one in found] == [match.values[keyword] for match in matches]
