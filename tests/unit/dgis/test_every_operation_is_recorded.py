"""Whatever a peer or a client asks, and whatever becomes of it, one entry of the trail says so."""

import asyncio
import base64
import threading
from contextlib import suppress

import httpx
import pytest
from structlog.testing import capture_logs

from catalog.audit import trail
from catalog.find import Match
from catalog.release import Releases
from dgis.accounting import Accounts
from dgis.commitment.desk import Desk
from dgis.dimse.limits import Limits
from dgis.door import Behind, Door
from dgis.identity.authenticate import Authenticator, Trust
from dgis.identity.issuers import Issuers
from dgis.keyholder.client import KeyholderClient
from dgis.roles.web import refusals
from dgis.trail.recorder import Recorder
from dgis.web import callers, credentials
from dgis.web.application import application
from dgis.web.explaining import Explaining
from dgis.web.explaining import routes as routes_of_explaining
from dgis.web.limits import Limits as WebLimits
from dgis.web.logins import Logins
from tests.gateway import wait_until
from tests.tools import wire
from tests.tools.client import (
    C_FIND,
    C_GET,
    C_MOVE,
    C_STORE,
    FIND,
    GET,
    MOVE,
    PENDING,
    ROOT,
    VERIFICATION,
    Client,
    RejectedError,
    encode,
    query,
)
from tests.unit.catalog.credentials.makers import IDP, NOW_S, token, token_issuer
from tests.unit.dgis.dimse.fakes import serving
from tests.unit.dgis.site import phantom

CT = "1.2.840.10008.5.1.4.1.1.2"
N_GET = 0x110
STUDY = encode(query("STUDY", StudyInstanceUID=""))
GARBAGE = b"\xff\xff\xff\xff\xff\xff\xff\xff no identifier"
FAILED, WELL = 4, 0


@pytest.fixture
def trust(site):
    site.clock.now_ms = NOW_S * 1000
    return Trust(site.configuration.dicom.peers, Issuers({IDP: token_issuer()}), site.name)


@pytest.fixture
def recorder(site):
    return Recorder(site.engine, "test/door", site.clock)


@pytest.fixture
def door(site, tmp_path, trust, recorder):
    site.receive(phantom(2))
    behind = Behind(
        Releases(site.engine, "test/door", site.clock),
        recorder,
        site.log,
        site.retriever(KeyholderClient(tmp_path / "nobody")),
        None,
        Accounts(site.engine, site.name),
        Authenticator(trust, site.engine, site.clock),
        site.clock,
        Desk(site.engine, site.name, "test/door", site.clock, 30_000),
    )
    return Door(site.configuration, behind)


@pytest.fixture
def port(door):
    with serving(door, Limits()) as port:
        yield port


@pytest.fixture
def recorded(site, recorder):
    """What the trail holds beside admissions, and what releases are part of."""

    def recorded():
        recorder.write()
        with site.engine.connect() as connection:
            kept = [entry.happening for entry in trail.latest(connection, 100)]
        return [
            (one.event.value, int(one.outcome), one.detail)
            for one in kept
            if one.event.value != "release" and (one.event.value, int(one.outcome)) != ("association", WELL)
        ]

    return recorded


def calling(port, title="HOSPITAL_1", called="DGIS"):
    classes = [VERIFICATION, CT, *(ROOT["study"] + each for each in (FIND, GET, MOVE))]
    contexts = [(each, [wire.IMPLICIT]) for each in classes]
    return Client(("127.0.0.1", port), title, contexts, called=called, provider_of=[CT])


def asking(client, code, abstract, data=None, **fields):
    message = client._ask(client.context(abstract), code, abstract, data, Priority=0, **fields)
    while message.command["Status"] in PENDING:
        message = client._next()


def find(data, title="HOSPITAL_1"):
    return title, lambda client: asking(client, C_FIND, ROOT["study"] + FIND, data)


def get(data, title="HOSPITAL_1"):
    return title, lambda client: asking(client, C_GET, ROOT["study"] + GET, data)


def move(data, title="HOSPITAL_1", **fields):
    return title, lambda client: asking(client, C_MOVE, ROOT["study"] + MOVE, data, **fields)


def store(data, title="HOSPITAL_1", sop_class=CT, instance="1.2.3"):
    def act(client):
        client._ask(client.context(CT), C_STORE, sop_class, data, Priority=0, AffectedSOPInstanceUID=instance)

    return title, act


def other(code, abstract, data=None):
    return "HOSPITAL_1", lambda client: asking(client, code, abstract, data)


ONE = encode(query("STUDY", StudyInstanceUID="1.2.3.4"))
LEVEL = encode(query("FILM", StudyInstanceUID=""))
NO_UID = encode(query("STUDY", PatientName="X"))

# what is asked, and of its entry: event, outcome, a part of its detail
OPERATIONS = {
    "a query": (find(STUDY), "query", WELL, {"matches": 1}),
    "a query for nothing that is there": (find(ONE), "query", WELL, {"status": "0x0000"}),
    "a query without identifier": (find(None), "query", FAILED, {"status": "0x0212"}),
    "a query that cannot be read": (find(GARBAGE), "query", FAILED, {"status": "0xC001"}),
    "a query at no level": (find(LEVEL), "query", FAILED, {"status": "0xA900"}),
    "a retrieve": (get(ONE), "transfer", WELL, {"status": "0x0000"}),
    "a retrieve without identifier": (get(None), "transfer", FAILED, {"status": "0x0212"}),
    "a retrieve that cannot be read": (get(GARBAGE), "transfer", FAILED, {"status": "0xC001"}),
    "a retrieve at no level": (get(LEVEL), "transfer", FAILED, {"status": "0xA900"}),
    "a retrieve of anything": (get(NO_UID), "transfer", FAILED, {"status": "0xA900"}),
    "a transfer that cannot be read": (
        move(GARBAGE, MoveDestination="HOSPITAL_WS"),
        "transfer",
        FAILED,
        {"status": "0xC001"},
    ),
    "a transfer to nobody": (move(ONE), "transfer", FAILED, {"status": "0xA801"}),
    "a transfer to somebody unknown": (
        move(ONE, MoveDestination="NOWHERE"),
        "transfer",
        FAILED,
        {"status": "0xA801"},
    ),
    "a transfer of nothing that is there": (
        move(ONE, MoveDestination="HOSPITAL_WS"),
        "transfer",
        WELL,
        {"receiver": "HOSPITAL_WS <pacs@gateway-1>"},
    ),
    "a store without right": (store(STUDY, "RESEARCH_1"), "store", FAILED, {"status": "0x0124"}),
    "a store without data set": (store(None), "store", FAILED, {"status": "0x0212"}),
    "a store of another class": (store(STUDY, sop_class="1.2.3"), "store", FAILED, {"status": "0x0122"}),
    "a store under no UID": (store(STUDY, instance="x"), "store", FAILED, {"status": "0x0117"}),
    "a store that cannot be read": (store(GARBAGE), "store", FAILED, {"status": "0xC000"}),
    "an operation of another class": (other(C_FIND, VERIFICATION), "refusal", FAILED, {"status": "0x0122"}),
    "an operation nobody knows": (other(N_GET, CT), "refusal", FAILED, {"status": "0x0211"}),
    "that, with a data set": (other(N_GET, CT, STUDY), "refusal", FAILED, {"status": "0x0211"}),
}


@pytest.mark.parametrize("case", OPERATIONS)
def test_each_operation_over_dicom_leaves_one_entry(port, recorded, case):
    (title, act), event, outcome, part = OPERATIONS[case]
    with calling(port, title) as client:
        act(client)
    assert [entry[:2] for entry in recorded()] == [(event, outcome)]
    detail = recorded()[0][2]
    assert part.items() <= detail.items(), detail


def test_what_was_asked_is_said_of_each_operation_itself(port, door, recorded):
    """Also where the one before failed with what it asked for in hand."""
    door._behind.releases.retrieve = raising
    with suppress(wire.GoneError), calling(port) as client:
        asking(client, C_GET, ROOT["study"] + GET, ONE)
    wait_until(lambda: len(recorded()) == 2, 10, "the association is over")
    refused = next(entry for entry in recorded() if entry[0] == "refusal")
    assert refused[2]["query"]["keys"] == {"StudyInstanceUID": ["1.2.3.4"]}
    with calling(port) as client:
        asking(client, C_FIND, ROOT["study"] + FIND, GARBAGE)
    last = next(entry for entry in recorded() if entry[0] == "query")
    assert "query" not in last[2]


def raising(*_arguments):
    raise RuntimeError


@pytest.mark.parametrize(("code", "service"), [(C_FIND, FIND), (C_GET, GET)])
def test_an_operation_whose_peer_leaves_leaves_an_entry(port, door, recorded, code, service):
    gone = threading.Event()

    def slow(*_asked):
        assert gone.wait(30)
        yield Match({"StudyInstanceUID": "1.2.3"}, original=False, entity=("1",))

    if code == C_FIND:
        door._behind.releases.find = slow
        event, identifier = "query", STUDY
    else:
        prepare = door._behind.retriever.prepare
        door._behind.retriever.prepare = lambda refs: gone.wait(30) and prepare(refs)
        uid = phantom(2)[0].study_uid
        event, identifier = "transfer", encode(query("STUDY", StudyInstanceUID=uid))
    client = calling(port)
    client.__enter__()
    abstract = ROOT["study"] + service
    fields = {"CommandField": code, "MessageID": 1, "AffectedSOPClassUID": abstract, "Priority": 0}
    client.link.send(client.context(abstract), fields, identifier)
    client.link.close()
    gone.set()
    found = wait_until(lambda: [each for each in recorded() if each[0] == event], 30, "the entry is there")
    assert [each[1] for each in found] == [FAILED]
    assert found[0][2]["words"] == "the association ended before it was over"


# who calls, by which title, with which user identity, and the words of the entry
REFUSED = {
    "by another title": ({"called": "OTHER"}, "called AE title not recognized"),
    "a stranger": ({"title": "STRANGER"}, "no peer entry matches the calling AE title and address"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_each_association_that_is_refused_leaves_one_entry_that_says_why(port, recorded, case):
    changed, words = REFUSED[case]
    with capture_logs() as logs, pytest.raises(RejectedError), calling(port, **changed):
        pass
    (event, outcome, detail) = wait_until(recorded, 10, "the entry is there")[0]
    assert (event, outcome) == ("association", FAILED)
    assert detail == {"words": f"rejected: {words}"}  # no title: it is whatever a stranger says
    assert "STRANGER" not in str(logs)
    assert "127.0.0.1" not in str(logs)


@pytest.fixture
def web(site, trust, recorder, tmp_path):
    logins = Logins(Authenticator(trust, site.engine, site.clock), recorder)
    rehearsal = Authenticator(trust, site.engine, site.clock, rehearsal=True)
    explaining = Explaining(site.configuration, site.engine, rehearsal, "test/door", site.clock)
    acs = site.configuration.web.model_copy(update={"url": "https://grid.example"}).acs_url
    issuing = credentials.Issuing(KeyholderClient(tmp_path / "nobody"), logins, site.clock, acs)
    routers = [callers.routes(logins), credentials.routes(issuing), routes_of_explaining(explaining, logins)]
    door = application(routers, WebLimits(body_bytes=100_000), refusals(recorder))

    async def asked(method, path, **given):
        transport = httpx.ASGITransport(door)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            return await client.request(method, path, **given)

    return lambda *request, **given: asyncio.run(asked(*request, **given))


def bearer(credential=None):
    return {"Authorization": f"Bearer {(credential or token()).decode()}"}


SAML = base64.b64encode(b"<no/>").decode()
EXPLAIN = {"study": "1.2.3"}
# method, path, what comes with it; then event, outcome and a part of the detail of its entry
REQUESTS = {
    "nothing presented": ("GET", "/api/caller", {}, "login", FAILED, {"reason": "no_credential"}),
    "a token that is none": (
        "GET",
        "/api/caller",
        {"headers": bearer(b"x")},
        "login",
        FAILED,
        {"reason": "malformed"},
    ),
    "a scheme nobody knows": (
        "GET",
        "/api/caller",
        {"headers": {"Authorization": "Digest x"}},
        "login",
        FAILED,
        {"reason": "unsupported"},
    ),
    "a login": ("GET", "/api/caller", {"headers": bearer()}, "login", WELL, {"kind": "jwt"}),
    "no such resource": ("GET", "/api/nothing", {}, "refusal", FAILED, {"reason": "Not Found"}),
    "no such method": ("PUT", "/api/caller", {}, "refusal", FAILED, {"reason": "Method Not Allowed"}),
    "a form that is none": (
        "POST",
        "/api/credential",
        {"json": {"second": 1}},
        "refusal",
        FAILED,
        {"reason": "malformed"},
    ),
    "two logins": (
        "POST",
        "/api/credential",
        {"json": {"assertion": SAML}, "headers": bearer()},
        "refusal",
        FAILED,
        {"reason": "two_logins"},
    ),
    "no key": (
        "POST",
        "/api/credential",
        {"json": {"request": "x"}, "headers": bearer()},
        "refusal",
        FAILED,
        {"reason": "no_key"},
    ),
    "a worker that is away": (
        "POST",
        "/api/credential",
        {"json": {}, "headers": bearer()},
        "refusal",
        FAILED,
        {"reason": "worker_away"},
    ),
    "a response that is none": ("POST", "/api/saml/acs", {}, "refusal", FAILED, {"reason": "malformed"}),
    "a body too long": (
        "POST",
        "/api/saml/acs",
        {"content": b"x" * 100_001},
        "refusal",
        FAILED,
        {"reason": "too_long"},
    ),
}


@pytest.mark.parametrize("case", REQUESTS)
def test_each_request_leaves_one_entry(web, recorded, case):
    method, path, given, event, outcome, part = REQUESTS[case]
    web(method, path, **given)
    assert [entry[:2] for entry in recorded()] == [(event, outcome)]
    detail = recorded()[0][2]
    assert part.items() <= detail.items(), detail


# an explanation, and the outcome of its own entry, beside that of the login
EXPLAINED = {
    "of oneself": (EXPLAIN, WELL),
    "of others": ({**EXPLAIN, "caller": ["user=x"]}, FAILED),
}


@pytest.mark.parametrize("case", EXPLAINED)
def test_each_explanation_leaves_one_entry_beside_that_of_the_login(web, recorded, case):
    asked, outcome = EXPLAINED[case]
    web("POST", "/api/explain", json=asked, headers=bearer())
    assert sorted(entry[:2] for entry in recorded()) == [("login", WELL), ("query", outcome)]


def test_a_flood_of_refusals_is_one_entry(web, recorded):
    for _ in range(50):
        web("GET", "/api/nothing")
    assert len(recorded()) == 1
