"""`/api`: who may have what of it, and that it says what the commands say."""

import asyncio

import httpx
import pytest
import sqlalchemy as sa

from catalog.audit import trail
from catalog.audit.seal import signing_key
from catalog.audit.values import Event
from catalog.callers import ALL_RIGHTS, Assertions, Right
from catalog.credentials.values import Verified
from catalog.grants import ANYONE, Grant, What, Who, every, write
from catalog.tables import DEID, PHI, audit
from dgis import overview
from dgis.api import auditing, deleting, granting, jobs, page, publishing, reading
from dgis.api.access import Access
from dgis.dimse.services import Destination
from dgis.publisher.tables import publish_part
from dgis.retention import holds
from dgis.trail.public import public_file, read_public, write_public
from dgis.trail.recorder import Recorder
from dgis.trail.sealing import TrailSealer
from dgis.trail.verifying import verify
from dgis.trail.words import verified_json
from dgis.web.application import application
from dgis.web.limits import Limits
from dgis.web.problems import Problem
from tests.unit.dgis.site import CLEARED, PUBLISHER, phantom

READ = frozenset({Right.FIND, Right.RETRIEVE})
CALLERS = {
    "member": Verified("member", Assertions(user="member"), READ),
    "cleared": Verified("hospital", PUBLISHER, READ | {Right.PHI}),
    "entitled to nothing": Verified("nobody", Assertions(user="nobody"), frozenset()),
    "high ceiling": Verified("idle", Assertions(user="idle"), ALL_RIGHTS),
    "of one facility": Verified("local", Assertions(user="local"), ALL_RIGHTS),
    "below its grant": Verified("boss", Assertions(user="boss"), READ),
    "denied": Verified("former", Assertions(user="former", role="boss"), ALL_RIGHTS),
    "boss": Verified("boss", Assertions(user="boss", role="boss"), ALL_RIGHTS),
}
ADMINISTER = frozenset({Right.ADMINISTER})
"""Everybody else may not administer: by ceiling, for want of a grant, or because it is denied."""


class Grid:
    """The routes over one site; `ask` asks as somebody."""

    def __init__(self, site):
        self.site, self.who = site, None
        clock = site.clock
        access = Access(site.engine, clock)
        writer = f"{site.name}/web"
        destinations = {"WS": Destination("WS", "127.0.0.1", 1, CLEARED)}
        self.recorder = Recorder(site.engine, writer, clock)
        self.key = signing_key(bytes(32))
        self.proof = auditing.Proof(site.grid.fleet, self.key.public_key, most=1000)
        self.reading = reading.Reading(site.configuration, access, site.log, site.grid.fleet, self.recorder)
        routers = [
            reading.routes(self.reading, self),
            granting.routes(granting.Granting(access, writer), self),
            auditing.routes(auditing.Auditing(access, writer, self.proof), self),
            publishing.routes(publishing.Publishing(access, site.name), self),
            deleting.routes(deleting.Deleting(access, writer), self),
            jobs.routes(jobs.Jobs(access, site.name, writer, destinations), self),
            page.routes(),
        ]
        self.refused = []
        self.app = application(routers, Limits(), lambda _address, reason: self.refused.append(reason))

    async def admit(self):
        if self.who is None:
            raise Problem(401, "no_credential", "who asks?")
        return self.who

    def ask(self, who, method, path, **options):
        self.who = CALLERS.get(who)

        async def ask():
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://grid") as client:
                whole = path if path.startswith("/dicom-web") else f"/api{path}"
                return await client.request(method, whole, **options)

        return asyncio.run(ask())


@pytest.fixture
def grid(site):
    """One series that is published, one that is received only; both by the hospital."""
    site.publish(phantom(2))
    site.receive(phantom(1, person=1))
    with site.engine.begin() as connection:
        for who, what, allow in (
            (Who(role="boss"), What(), True),
            (Who(user="boss"), What(), True),
            (Who(user="local"), What(facility="Demo Hospital"), True),
            (Who(user="former"), What(), False),
        ):
            write(connection, Grant(who, what, ADMINISTER, allow, reason="for this test"))
    return Grid(site)


@pytest.fixture
def keys(site, grid):
    with site.engine.connect() as connection:
        rows = overview.series(connection, site.name)
        record = connection.scalar(sa.select(publish_part.c.record_key))
    by_state = {bool(row["parts_published"]): row["series"] for row in rows}
    return {"published": by_state[True], "received": by_state[False], "record": record}


NO_JOB = "0" * 32
GIVE = {"who": {"user": "ann"}, "what": {}, "may": ["find"], "reason": "she reads"}
OTHERS = [name for name in CALLERS if name not in {"boss", "cleared"}]
NOT = dict.fromkeys([*OTHERS, "cleared"], 403) | {"stranger": 401}
# Each resource with what it answers to whom; `boss` administers the grid.
TABLE = [
    ("GET", "/status", {}, dict.fromkeys(CALLERS, 200) | {"stranger": 401}),
    ("GET", "/series", {}, dict.fromkeys(CALLERS, 200) | {"stranger": 401}),
    (
        "GET",
        "/series/{published}",
        {},
        dict.fromkeys(CALLERS, 200) | {"entitled to nothing": 404, "stranger": 401},
    ),
    (
        "GET",
        "/series/{received}",
        {},
        dict.fromkeys(OTHERS, 404) | {"cleared": 200, "boss": 200, "stranger": 401},
    ),
    ("GET", "/series/1.2.3", {}, dict.fromkeys(CALLERS, 404) | {"stranger": 401}),
    ("POST", "/series/1.2.3/publish", {}, NOT | {"boss": 409}),
    ("GET", "/nodes", {}, NOT | {"boss": 200}),
    ("GET", "/records/{record}", {}, NOT | {"boss": 200}),
    ("GET", "/records/nothing", {}, NOT | {"boss": 404}),
    ("GET", "/records/.POST", {}, dict.fromkeys(CALLERS, 422) | {"stranger": 401}),
    ("GET", "/grants", {}, NOT | {"boss": 200}),
    ("POST", "/grants", {"json": GIVE}, NOT | {"boss": 201}),
    ("DELETE", "/grants/4711", {}, NOT | {"boss": 409}),
    ("GET", "/audit", {}, NOT | {"boss": 200}),
    ("POST", "/audit/verify", {}, NOT | {"boss": 200}),
    ("GET", "/jobs", {}, dict.fromkeys(CALLERS, 200) | {"stranger": 401}),
    (
        "POST",
        "/jobs",
        {"json": {"study": "1.2.3", "destination": "WS"}},
        dict.fromkeys(CALLERS, 404) | {"entitled to nothing": 403, "stranger": 401},
    ),
    ("GET", f"/jobs/{NO_JOB}", {}, dict.fromkeys(CALLERS, 404) | {"stranger": 401}),
    ("DELETE", f"/jobs/{NO_JOB}", {}, dict.fromkeys(CALLERS, 404) | {"stranger": 401}),
    ("DELETE", "/dicom-web/studies/1.2.3", {}, NOT | {"boss": 404}),
    ("DELETE", "/dicom-web/studies/1.2.3/series/1.2.4", {}, NOT | {"boss": 404}),
    ("DELETE", "/dicom-web/studies/1.2.3/series/1.2.4/instances/1.2.5", {}, NOT | {"boss": 501}),
    ("GET", "/docs", {}, dict.fromkeys([*CALLERS, "stranger"], 200)),
]


def test_everybody_has_what_the_table_says_and_nothing_else(grid, keys):
    found = {
        (method, path): {
            who: grid.ask(who, method, path.format(**keys), **options).status_code for who in said
        }
        for method, path, options, said in TABLE
    }
    assert found == {(method, path): said for method, path, _options, said in TABLE}


def test_no_resource_is_missing_in_the_table(grid):
    described = grid.ask(None, "GET", "/openapi.json").json()["paths"]
    routes = {
        (method.upper(), path)
        for path, methods in described.items()
        for method in methods
        if path.startswith("/api/")
    }
    patterns = {
        ("GET", "/api/series/{key}"),
        ("GET", "/api/records/{key}"),
        ("POST", "/api/series/{key}/publish"),
        ("DELETE", "/api/grants/{grant_id}"),
        ("GET", "/api/jobs/{job_id}"),
        ("DELETE", "/api/jobs/{job_id}"),
        ("POST", "/api/audit/verify"),
    }
    assert routes - patterns == {
        (method, f"/api{path}") for method, path, *_rest in TABLE if path.count("/") == 1 and path != "/docs"
    }


def test_administrators_are_told_what_the_commands_print(grid, site, keys):
    with site.engine.connect() as connection:
        status = overview.everything(connection, site.log, site.configuration, site.clock())
        series = overview.series(connection, site.name)
        one = overview.one_series(connection, site.name, keys["published"])
    said = grid.ask("boss", "GET", "/status").json()
    for each in (said, status):  # what is measured, at another moment
        assert each["cache"].pop("free_bytes") > 0
        each["cache"].pop("used_bytes")
    assert said == status
    assert grid.ask("boss", "GET", "/series").json() == {"items": series, "next": None}
    assert grid.ask("boss", "GET", f"/series/{keys['published']}").json() == one
    assert one["records"] == [keys["record"]]


def test_others_are_told_numbers_and_what_they_may_find(grid, keys):
    status = grid.ask("member", "GET", "/status").json()
    told = {name for name, value in status.items() if value is not None}
    assert told == {"catalog", "cache", "parts", "scrub", "copies"}
    assert status["copies"]["nodes"] is None
    assert [each["series"] for each in grid.ask("member", "GET", "/series").json()["items"]] == [
        keys["published"]
    ]
    assert grid.ask("entitled to nothing", "GET", "/series").json()["items"] == []
    cleared = grid.ask("cleared", "GET", "/series").json()["items"]
    assert {each["series"] for each in cleared} == {keys["published"], keys["received"]}


def test_a_denial_hides_a_series_here_as_everywhere(grid, site, keys):
    with site.engine.begin() as connection:
        patient = connection.scalar(
            sa.select(PHI.series.c.patient_key).where(PHI.series.c.series_key == keys["published"])
        )
        denial = Grant(ANYONE, What(patient_key=patient, linked=True), READ, allow=False, reason="asked for")
        write(connection, denial)
    assert grid.ask("member", "GET", "/series").json()["items"] == []
    assert grid.ask("member", "GET", f"/series/{keys['published']}").status_code == 404


def test_pages_follow_each_other_without_a_gap(grid, site):
    for person in (0, 1, 2):
        site.receive(phantom(1, person=person, seed=5))
        site.clock.pass_seconds(1)
    whole = [each["series"] for each in grid.ask("boss", "GET", "/series").json()["items"]]
    for who in ("boss", "cleared"):
        seen, cursor = [], None
        while True:
            query = {"limit": 2} | ({"after": cursor} if cursor else {})
            answer = grid.ask(who, "GET", "/series", params=query).json()
            seen += [each["series"] for each in answer["items"]]
            cursor = answer["next"]
            if cursor is None:
                break
        assert seen == whole
    assert len(whole) == 5


def test_a_record_says_where_its_copies_lie_and_no_digest_of_what_is_sealed(grid, keys):
    objects = grid.ask("boss", "GET", f"/records/{keys['record']}").json()
    assert {each["kind"]: each["sha256"] is None for each in objects} == {"record": False, "sealed": True}
    assert all(len(each["copies"]) == 3 for each in objects)
    assert {copy["state"] for each in objects for copy in each["copies"]} == {"available"}


def test_a_grant_is_given_listed_and_ended_and_the_trail_has_it(grid, site, keys):
    wanted = GIVE | {"what": {"series": keys["published"]}, "until_ms": site.clock() + 60_000}
    given = grid.ask("boss", "POST", "/grants", json=wanted)
    assert given.json()["what"]["series_key"] == keys["published"]
    assert given.json() in grid.ask("boss", "GET", "/grants").json()
    number = given.json()["id"]
    assert grid.ask("boss", "DELETE", f"/grants/{number}").status_code == 204
    assert grid.ask("boss", "DELETE", f"/grants/{number}").status_code == 409
    with site.engine.connect() as connection:
        entries = trail.latest(connection, 10, event=Event.GRANT)
    assert [(each.happening.detail["act"], each.happening.caller) for each in entries] == [
        ("revoke", "boss <boss@>"),
        ("grant", "boss <boss@>"),
    ]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"what": {"study": "1.2.3"}}, 404),
        ({"what": {"patient": "4711^^^"}}, 404),
        ({"what": {"facility": "Nowhere"}}, 404),
        ({"what": {"contributor_id": 4711}}, 404),
        ({"until_ms": 1}, 409),
        ({"from_ms": 10, "until_ms": 5}, 409),
        ({"may": []}, 422),
        ({"may": ["everything"]}, 422),
        ({"reason": ""}, 422),
        ({"reason": "a\x00b"}, 422),
        ({"what": {"patient": "a\x00b"}}, 422),
        ({"who": {"user": "a\x00b"}}, 422),
        ({"who": {"friend": "x"}}, 422),
    ],
)
def test_a_grant_that_cannot_be_is_refused_and_nothing_is_written(grid, site, change, status):
    def count():
        with site.engine.connect() as connection:
            return len(list(every(connection)))

    before = count()
    assert grid.ask("boss", "POST", "/grants", json=GIVE | change).status_code == status
    assert count() == before


def test_reading_the_trail_is_in_the_trail_and_pages_end(grid, site):
    for _ in range(3):
        grid.ask("boss", "GET", "/audit")
    first = grid.ask("boss", "GET", "/audit", params={"event": "trail", "limit": 2}).json()
    assert [each["caller"] for each in first["items"]] == ["boss <boss@>"] * 2
    rest = grid.ask("boss", "GET", "/audit", params={"event": "trail", "after": first["next"]}).json()
    assert rest["next"] is None
    # The page before it was recorded when it was read, after its own entries: it is newer than they are.
    assert len(rest["items"]) == 1
    assert grid.ask("boss", "GET", "/audit", params={"caller": "somebody else"}).json()["items"] == []


def test_verifying_says_what_the_command_says_and_leaves_an_entry(grid, site):
    grid.ask("boss", "GET", "/audit")
    TrailSealer(site.engine, site.grid.fleet, grid.key, site.clock).run_once()
    with site.engine.connect() as connection:
        by_command = verified_json(verify(connection, site.grid.fleet, grid.key.public_key()))
    answer = grid.ask("boss", "POST", "/audit/verify")
    assert (answer.status_code, answer.json()) == (200, by_command)
    assert (by_command["findings"], by_command["forged"], by_command["heads"] > 0) == ([], 0, True)
    with site.engine.connect() as connection:
        (entry, *_older) = trail.latest(connection, 1)
    assert entry.happening.detail == {"what": "verify", "door": "http", "findings": 0, "forged": 0}
    assert entry.happening.caller.startswith("boss ")


def test_what_was_altered_is_found(grid, site):
    grid.ask("boss", "GET", "/audit")
    with site.engine.begin() as connection:
        last = connection.scalar(sa.select(sa.func.max(audit.c.id)))
        connection.execute(sa.update(audit).where(audit.c.id == last).values(caller="nobody"))
    found = grid.ask("boss", "POST", "/audit/verify").json()["findings"]
    assert [each["fault"] for each in found] == ["an entry is not what was written"]
    assert found[0]["writer"] == f"{site.name}/web"


def test_a_trail_is_verified_once_at_a_time_and_where_it_can_be(grid, site, tmp_path, monkeypatch):
    proofs = []
    monkeypatch.setattr(
        auditing, "verify", lambda *said: proofs.append(grid.ask("boss", "POST", path)) or verify(*said)
    )
    path = "/audit/verify"
    assert grid.ask("boss", "POST", path).status_code == 200
    (meanwhile,) = proofs
    assert (meanwhile.status_code, meanwhile.json()["reason"]) == (409, "verifying")
    monkeypatch.undo()
    object.__setattr__(grid.proof, "most", 0)
    refused = grid.ask("boss", "POST", path)
    assert (refused.status_code, refused.json()["reason"]) == (409, "too_long")
    object.__setattr__(grid.proof, "key", lambda: read_public(public_file(tmp_path)))
    refused = grid.ask("boss", "POST", path)
    assert (refused.status_code, refused.json()["reason"]) == (503, "no_audit_key")
    write_public(public_file(tmp_path), grid.key.public_key())
    object.__setattr__(grid.proof, "most", 1000)
    assert grid.ask("boss", "POST", path).status_code == 200
    public_file(tmp_path).write_bytes(b"no key")
    assert grid.ask("boss", "POST", path).status_code == 503


@pytest.mark.parametrize("who", ["boss", "member"])
def test_each_request_leaves_one_entry(grid, site, keys, who):
    """What is refused leaves the refusal alone, recorded as it leaves; looking at jobs leaves nothing."""
    for method, path, options, said in TABLE[:-1]:
        if (method, path) == ("GET", "/jobs"):
            continue
        with site.engine.begin() as connection:
            before = len(trail.latest(connection, 1000))
        grid.refused.clear()
        status = grid.ask(who, method, path.format(**keys), **options).status_code
        grid.recorder.write()
        with site.engine.connect() as connection:
            added = len(trail.latest(connection, 1000)) - before
        assert (added, len(grid.refused)) == ((0, 1) if status >= 400 else (1, 0)), (path, said[who])


def test_a_job_is_told_to_its_owner_and_to_administrators_with_a_tag(grid, site, keys):
    with site.engine.connect() as connection:
        study = connection.scalar(
            sa.select(DEID.study.c.study_instance_uid)
            .join(DEID.series, DEID.series.c.study_row == DEID.study.c.id)
            .where(DEID.series.c.series_key == keys["published"])
        )
    wanted = {"study": study, "destination": "WS"}
    assert grid.ask("member", "POST", "/jobs", json=wanted | {"destination": "NOWHERE"}).status_code == 404
    asked = grid.ask("member", "POST", "/jobs", json=wanted)
    assert (asked.status_code, asked.json()["state"]) == (202, "waiting")
    path = f"/jobs/{asked.json()['id']}"
    for who in ("member", "boss"):
        shown = grid.ask(who, "GET", path)
        assert shown.json() == asked.json()
        assert grid.ask(who, "GET", "/jobs").json() == [asked.json()]
    tag = {"If-None-Match": shown.headers["etag"]}
    assert grid.ask("member", "GET", path, headers=tag).status_code == 304
    for method in ("GET", "DELETE"):
        assert grid.ask("cleared", method, path).status_code == 404
    assert grid.ask("cleared", "GET", "/jobs").json() == []
    assert grid.ask("member", "DELETE", path).status_code == 204
    assert grid.ask("member", "DELETE", path).status_code == 409
    cancelled = grid.ask("member", "GET", path, headers=tag)
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")


def test_records_are_brought_near_without_a_destination(grid, site):
    with site.engine.connect() as connection:
        study = connection.scalar(sa.select(DEID.study.c.study_instance_uid))
    wanted = {"study": study, "kind": "prefetch"}
    for wrong in ({"destination": "WS"}, {"kind": "send"}, {"kind": "publish"}):
        assert grid.ask("member", "POST", "/jobs", json=wanted | wrong).status_code == 422
    assert grid.ask("entitled to nothing", "POST", "/jobs", json=wanted).status_code == 403
    assert grid.ask("member", "POST", "/jobs", json=wanted | {"study": "1.2.3"}).status_code == 404
    asked = grid.ask("member", "POST", "/jobs", json=wanted)
    assert asked.status_code == 202
    shown = asked.json()
    assert (shown["kind"], shown["state"], shown["destination"]) == ("prefetch", "waiting", "")
    with site.engine.connect() as connection:
        (entry,) = [each.happening for each in trail.latest(connection, 9, event=Event.RETRIEVE)]
    assert entry.detail == {"door": "http", "job": shown["id"], "what": "prefetch"}


def test_a_series_is_published_at_once_where_it_waits(grid, site, keys):
    assert grid.ask("boss", "POST", f"/series/{keys['published']}/publish").status_code == 409
    publisher = site.publisher()
    assert not publisher.plan()  # it is not due
    assert grid.ask("boss", "POST", f"/series/{keys['received']}/publish").status_code == 204
    while publisher.plan() or publisher.run_once():
        pass
    assert grid.ask("boss", "GET", f"/series/{keys['received']}").json()["state"] == "published"


def test_a_study_is_deleted_for_ever_unless_something_keeps_it(grid, site, keys):
    published, received = phantom(2)[0], phantom(1, person=1)[0]

    def delete(image, *further):
        return grid.ask("boss", "DELETE", "/".join((f"/dicom-web/studies/{image.study_uid}", *further)))

    waits = delete(received)  # it is in no record yet
    assert (waits.status_code, waits.json()["detail"][:12]) == (409, "0 of 1 serie")
    with site.engine.begin() as connection:
        patient = connection.scalar(
            sa.select(PHI.series.c.patient_key).where(PHI.series.c.series_key == keys["published"])
        )
        held = holds.add(connection, What(patient_key=patient), "a trial", "ann", site.clock())
    assert delete(published).status_code == 409
    with site.engine.begin() as connection:
        holds.end(connection, held)
    assert delete(published, "series", "1.2.3").status_code == 404
    assert delete(published, "series", published.series_uid).status_code == 204
    assert delete(published).status_code == 404
    assert [each["series"] for each in grid.ask("boss", "GET", "/series").json()["items"]] == [
        keys["received"]
    ]
    with site.engine.connect() as connection:
        (entry,) = trail.latest(connection, 10, event=Event.DELETE)
    assert (entry.happening.caller, entry.happening.detail["what"]) == ("boss <boss@>", "asked")


def test_nothing_of_a_patient_is_in_what_is_told(grid, keys):
    for path in ("/status", "/series", "/series/{received}", "/nodes", "/records/{record}", "/grants"):
        said = grid.ask("boss", "GET", path.format(**keys)).text
        for image in (*phantom(2), *phantom(1, person=1)):
            assert image.study_uid not in said
            assert image.series_uid not in said


def test_the_page_of_the_routes_loads_and_runs_nothing(grid):
    answer = grid.ask(None, "GET", "/docs")
    assert answer.headers["content-type"].startswith("text/html")
    assert "GET /api/status" in answer.text
    assert not [word for word in ("<script", "<link", "src=", "http://", "https://") if word in answer.text]


def test_the_description_names_models_and_problems(grid):
    described = grid.ask(None, "GET", "/openapi.json").json()
    for path, methods in described["paths"].items():
        for said in methods.values():
            good = next(status for status in said["responses"] if status.startswith("2"))
            if good != "204":
                schema = said["responses"][good]["content"]["application/json"]["schema"]
                assert "$ref" in str(schema), path
            for status in ("401", "422", "503"):
                assert "application/problem+json" in said["responses"][status]["content"], (path, status)
