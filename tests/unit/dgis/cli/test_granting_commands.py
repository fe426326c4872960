"""`dgis grant`, `patient`, `consent` and `explain` over a home with two patients."""

import tempfile
from datetime import datetime
from pathlib import Path

import pytest

from dgis import settings
from dgis.cli.granting import moment_of
from dgis.demo import kinds
from dgis.demo.people import PEOPLE
from tests.unit.dgis.cli.home import Home
from tests.unit.dgis.site import phantom

IMAGES = (phantom(2), phantom(2, kinds.MR, 1))
ONE, OTHER = (f"{PEOPLE[number].patient_id}^^^DEMO" for number in (0, 1))
DR_NO = ("--user", "dr.no", "--institution", "Elsewhere")
ALLOW = ("--may", "find,retrieve", "--may", "phi", "--reason", "second opinion")


@pytest.fixture(autouse=True)
def _no_outside_settings(monkeypatch):
    for name in list(settings.os.environ):
        if name.startswith("DGIS__"):
            monkeypatch.delenv(name)


@pytest.fixture
def home():
    with tempfile.TemporaryDirectory(prefix="dgis-") as folder:
        made = Home(Path(folder) / "h")
        made.folder.mkdir()
        made.receive([image for images in IMAGES for image in images])
        yield made


def study(number):
    return IMAGES[number][0].study_uid


def explained(home, *caller, uid, code, **options):
    named = [part for each in caller for part in ("--caller", each)]
    return home.json("explain", *named, "--study", uid, *options.get("more", ()), code=code)


def test_a_grant_is_given_listed_explained_and_revoked(home):
    (given,) = home.json("grant", "add", *DR_NO, *ALLOW, "--study", study(0), "--until", "2999-01-31")
    assert (given["effect"], given["may"]) == ("allow", ["find", "phi", "retrieve"])
    assert given["who"] == {"user": "dr.no", "institution": "Elsewhere"}
    end = datetime(2999, 2, 1).astimezone()
    assert given["until_ms"] == round(end.timestamp() * 1000)
    assert [each["id"] for each in home.json("grant", "list", "--patient", ONE)] == [given["id"]]
    assert home.json("grant", "list", "--patient", OTHER) == []
    caller = ("user=dr.no", "institution=Elsewhere")
    told = explained(home, *caller, uid=study(0), code=0)
    assert told["granted"]
    assert given["id"] in [step["grant"] for step in told["steps"]]
    assert not explained(home, *caller, uid=study(1), code=1)["granted"]
    assert home.json("grant", "revoke", str(given["id"])) == {"revoked": given["id"]}
    assert not explained(home, *caller, uid=study(0), code=1)["granted"]
    assert home.json("grant", "list", "--patient", ONE) == []
    assert [each["state"] for each in home.json("grant", "list", "--patient", ONE, "--all")] == ["ended"]
    assert home.run("grant", "revoke", str(given["id"])).exit_code == 1
    acts = [each["detail"]["act"] for each in home.json("audit", "list", "--event", "grant")]
    assert acts == ["revoke", "grant"]


def test_consent_is_refused_for_the_person_and_taken_back(home):
    caller = ("department=Radiology", "institution=Demo Hospital")
    linked = home.json("patient", "link", ONE, OTHER, "--reason", "seen at both", "--by", "Registrar")
    assert len(linked["person"]) == 2
    (link,) = home.json("patient", "links", OTHER)
    assert link["linked_by"].startswith("Registrar (uid ")
    assert explained(home, *caller, uid=study(1), code=0)["granted"]
    refused = home.json("consent", "refuse", ONE)
    assert refused["covers"] == linked["person"]
    closed = explained(home, *caller, uid=study(1), code=1)
    assert "consent refused" in closed["steps"][-1]["words"]
    assert home.json("find", "study", cleared=True) == []
    assert [each["id"] for each in home.json("consent", "list", OTHER)] == [refused["id"]]
    assert home.run("consent", "withdraw-refusal", OTHER).exit_code == 1
    assert home.json("consent", "withdraw-refusal", ONE) == {"withdrawn": [refused["id"]]}
    assert len(home.json("find", "study", cleared=True)) == 2
    assert home.json("consent", "list") == []
    assert [each["state"] for each in home.json("consent", "list", "--all")] == ["ended"]
    assert home.json("patient", "unlink", ONE, OTHER, "--reason", "a mistake")["unlinked"] == linked["linked"]
    assert home.json("patient", "links") == []


def test_nothing_private_is_printed(home):
    commands = [
        ("patient", "link", ONE, OTHER, "--reason", "same person"),
        ("grant", "add", *DR_NO, *ALLOW, "--patient", ONE, "--linked"),
        ("grant", "add", "--anyone", "--may", "phi", "--reason", "r", "--patient", ONE, "--linked", "--deny"),
        ("grant", "list", "--all"),
        ("consent", "refuse", ONE, "--all"),
        ("consent", "list"),
        ("patient", "links"),
        ("explain", "--caller", "HOSPITAL_1@127.0.0.1", "--study", study(0)),
        ("audit", "list"),
        ("grant", "contributors"),
    ]
    printed = "".join(home.run(*command, *json).output for command in commands for json in ((), ("--json",)))
    assert "Demo Hospital" in printed
    for number, images in enumerate(IMAGES):
        person = PEOPLE[number]
        private = [person.patient_id, person.birth_date, person.accession_number, person.name.split("^")[0]]
        assert [text for text in (*private, images[0].series_uid) if text in printed] == []


def test_a_peer_an_account_and_the_commands_themselves_are_explained(home):
    assert explained(home, "HOSPITAL_1@127.0.0.1", uid=study(0), code=0)["caller"] == "HOSPITAL_1"
    assert not explained(home, "RESEARCH_1@127.0.0.1", uid=study(0), code=1)["granted"]
    assert "no peer entry" in home.run("explain", "--caller", "X@10.0.0.1", "--study", study(0)).output
    assert not explained(home, "cli", uid=study(0), code=1)["granted"]
    account = ("--account", "dr.b")
    assert (
        "no account"
        in home.run("explain", "--caller", "HOSPITAL_1@127.0.0.1", "--study", study(0), *account).output
    )
    more = ("--operation", "retrieve", "--original")
    assert explained(home, "HOSPITAL_1@127.0.0.1", uid=study(0), code=0, more=more)["granted"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--may", "find", "--reason", "r", "--everything"),
        ("--anyone", "--user", "u", "--may", "find", "--reason", "r", "--everything"),
        ("--anyone", "--may", "find", "--reason", "r"),
        ("--anyone", "--may", "find", "--reason", "r", "--everything", "--patient", "x"),
        ("--anyone", "--may", "fly", "--reason", "r", "--everything"),
        ("--anyone", "--may", "find", "--reason", "r", "--everything", "--until", "soon"),
        ("--anyone", "--may", "find", "--everything"),
    ],
)
def test_a_grant_that_is_not_wholly_said_is_wrong_usage(home, arguments):
    assert home.run("grant", "add", *arguments).exit_code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("--patient", "nobody"),
        ("--patient", "NOBODY^^^"),
        ("--study", "1.2.3"),
        ("--series", "1.2.3"),
        ("--contributor", "99"),
        ("--facility", "Elsewhere"),
        ("--everything", "--until", "2001-01-01"),
        ("--everything", "--linked"),
        ("--facility", "Demo Hospital", "--contributor", "1"),
    ],
)
def test_a_grant_on_what_is_not_there_is_refused(home, arguments):
    done = home.run("grant", "add", "--anyone", "--may", "phi", "--reason", "r", *arguments)
    assert done.exit_code == 1
    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert [each for each in home.json("grant", "list", "--all") if each["reason"] == "r"] == []


def test_an_id_of_another_issuer_is_asked_for_by_it(home):
    for command in (("consent", "list"), ("consent", "refuse", "--unseen")):
        done = home.run(*command, f"{PEOPLE[0].patient_id}^^^")
        assert done.exit_code == 1
        assert "ID^^^DEMO" in done.output
        assert PEOPLE[0].patient_id not in done.output
    home.json("consent", "refuse", "NOT-HERE-YET^^^", "--unseen")
    assert len(home.json("consent", "list", "NOT-HERE-YET^^^")) == 1


@pytest.mark.parametrize("caller", ["shoe_size=9", "dr.no", ""])
def test_a_caller_nobody_can_suppose_is_refused(home, caller):
    assert home.run("explain", "--caller", caller, "--study", "1.2.3").exit_code == 1


def test_a_day_ends_with_its_last_moment():
    begins, ends = moment_of("2027-01-31", end=False), moment_of("2027-01-31", end=True)
    assert ends - begins == 86_400_000
    assert moment_of("2027-01-31T18:00+01:00", end=True) == 1801414800000
