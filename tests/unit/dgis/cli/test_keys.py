import shutil
import tempfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deid.keys.setup import load_ring
from dgis import settings
from dgis.cli.main import app
from dgis.demo.people import PEOPLE
from tests.unit.dgis.cli.home import Home
from tests.unit.dgis.site import phantom

PATIENT = PEOPLE[0]
WHO = ("keys", "shred", "--patient", PATIENT.patient_id, "--issuer", "DEMO")


@pytest.fixture
def home():
    """One published series of each of two patients."""
    with tempfile.TemporaryDirectory(prefix="dgis-") as folder:  # short: it holds a Unix socket
        made = Home(Path(folder) / "h")
        made.folder.mkdir()
        made.receive([*phantom(3), *phantom(2, person=1, seed=2)])
        made.publish()
        yield made


def away(path):
    path.rename(path.with_name(f"{path.name}-away"))


def back(path):
    path.with_name(f"{path.name}-away").rename(path)


def store(home, letter):
    return home.folder / "keys" / f"store-{letter}"


class TestStatus:
    def test_it_counts(self, home):
        told = home.json("keys", "status")
        assert [(each["keys"], each["missing"], each["answers"]) for each in told["stores"]] == [
            (2, 0, True),
            (2, 0, True),
        ]
        assert home.run("keys", "status").exit_code == 0

    def test_a_store_that_is_not_well_is_exit_code_1(self, home):
        lost = next((store(home, "b") / "keys").glob("*.json"))
        lost.unlink()
        assert [each["missing"] for each in home.json("keys", "status", code=1)["stores"]] == [0, 1]
        away(store(home, "a"))
        assert "NO" in home.run("keys", "status").output

    def test_no_key_file_is_said_in_words(self, home):
        (home.folder / "keys" / "kek").unlink()
        done = home.run("keys", "status")
        assert (done.exit_code, "cannot read the key file" in done.output) == (1, True)


class TestRotate:
    def test_the_old_key_goes_and_originals_open(self, home, tmp_path):
        old = load_ring(home.folder / "keys" / "kek").current
        assert home.json("keys", "rotate") == {"retired": True, "pending": []}
        assert load_ring(home.folder / "keys" / "kek").find(old.kek_id) is None
        home.run("cache", "evict", "--all")
        stop = home.worker()
        try:
            images = phantom(3)
            done = home.json("fetch", images[0].study_uid, "--to", str(tmp_path), cleared=True)
        finally:
            stop()
        assert done["files"] == 3

    def test_a_store_that_is_away_holds_it_up_and_the_same_again_ends_it(self, home):
        away(store(home, "b"))
        assert home.json("keys", "rotate", code=1)["pending"] == [str(store(home, "b"))]
        assert home.json("keys", "status", code=1)["rotating"]
        back(store(home, "b"))
        done = home.run("keys", "rotate")
        assert done.exit_code == 0
        assert "destroy its other copies" in done.output.replace("\n", " ")
        assert not home.json("keys", "status")["rotating"]

    def test_it_can_be_prepared(self, home):
        assert home.json("keys", "rotate", "--prepare")["prepared"]
        assert not home.json("keys", "rotate", "--prepare")["prepared"]
        assert len(load_ring(home.folder / "keys" / "kek").keks) == 2
        assert "Copy it to every host" in home.run("keys", "rotate", "--prepare").output
        assert home.json("keys", "status")["stores"][0]["outdated"] == 2
        assert home.json("keys", "rotate")["retired"]


class TestShred:
    def test_a_dry_run_says_what_would_go_and_changes_nothing(self, home):
        told = home.json(*WHO, "--dry-run")
        assert told["originals"] == {"studies": 1, "series": 1, "instances": 3}
        assert told["deidentified"] == 3
        assert "leaves 3 de-identified instances" in home.run(*WHO, "--dry-run").output
        assert home.json("keys", "status")["stores"][0]["shredded"] == 0
        assert home.json("status")["catalog"]["received"] == 5

    def test_it_asks_and_a_wrong_answer_changes_nothing(self, home):
        options = ["--home", str(home.folder), "--config", str(home.uncleared)]
        for said in ("", "yes\n"):
            done = CliRunner().invoke(app, [*WHO, *options], input=said)
            assert done.exit_code == 1
        assert home.json("status")["catalog"]["received"] == 5
        key = home.json(*WHO, "--dry-run")["key"]
        done = CliRunner().invoke(app, [*WHO, *options], input=f"{key[:8]}\n")
        assert done.exit_code == 0, done.output
        assert home.json("status")["catalog"]["received"] == 2

    def test_it_says_what_was_destroyed_and_what_is_left_in_words(self, home):
        done = home.run(*WHO, "--yes")
        assert done.exit_code == 0
        told = done.output.replace("\n", " ")
        assert "original rows of 3 instances in 1 series, 1 studies; 3 cached originals" in told
        assert "backup.keep_days says" in told
        assert not [text for text in (PATIENT.patient_id, PATIENT.name.split("^")[0]) if text in told]
        assert home.json("status")["catalog"]["published"] == 5
        again = home.json(*WHO, "--yes")
        assert (again["complete"], again["erasure"]["instances"]) == (True, 3)

    def test_how_long_backups_are_kept_can_be_said(self, home):
        with home.uncleared.open("a") as file:
            file.write("[backup]\nkeep_days = 35\n")
        report = home.json(*WHO, "--yes")
        assert report["backups_until"] > "2026"
        assert report["backups_until"] in " ".join(report["still"])

    def test_by_pseudonym(self, home):
        (study,) = home.json("find", "study", "-k", "PatientID", "-k", "NumberOfStudyRelatedInstances=3")[:1]
        report = home.json("keys", "shred", "--pseudonym", study["PatientID"], "--yes")
        assert report["complete"]
        assert report["erasure"]["instances"] in (2, 3)

    def test_a_key_store_that_is_away_is_named_and_the_same_again_ends_it(self, home):
        away(store(home, "b"))
        report = home.json(*WHO, "--yes", code=1)
        assert report["key_stores_pending"] == [str(store(home, "b"))]
        assert report["done_here"]
        assert "does not answer" in home.run(*WHO, "--yes").output
        back(store(home, "b"))
        assert home.json(*WHO, "--yes")["complete"]
        assert [each["shredded"] for each in home.json("keys", "status")["stores"]] == [1, 1]

    def test_with_no_key_store_nothing_is_begun(self, home):
        for letter in "ab":
            away(store(home, letter))
        done = home.run(*WHO, "--yes")
        assert done.exit_code == 1
        for letter in "ab":
            back(store(home, letter))
        assert home.json("status")["catalog"]["received"] == 5

    @pytest.mark.parametrize(
        "who", [(), ("--patient", "1", "--pseudonym", "x"), ("--issuer", "DEMO", "--pseudonym", "x")]
    )
    def test_who_must_be_said_in_one_way(self, home, who):
        assert home.run("keys", "shred", *who, "--yes").exit_code == 2

    @pytest.mark.parametrize(
        "who",
        [
            ("--patient", "NOBODY"),
            ("--pseudonym", "NOBODY"),
            ("--patient", " "),
            ("--patient", PATIENT.patient_id),
        ],
        ids=["unknown ID", "unknown pseudonym", "empty", "issuer not said"],
    )
    def test_nobody_meant_is_said_in_words_and_nothing_changes(self, home, who):
        done = home.run("keys", "shred", *who, "--yes")
        assert done.exit_code == 1
        assert isinstance(done.exception, SystemExit)
        assert home.json("status")["catalog"]["received"] == 5
        assert home.json("keys", "status")["stores"][0]["shredded"] == 0

    def test_another_gateway_on_the_database_is_waited_for_by_name(self, home):
        other = home.folder.parent / "other.toml"
        shutil.copy(home.uncleared, other)
        with other.open("a") as file:
            file.write(
                f'[gateway]\nname = "gateway-2"\n[catalog]\nurl = "sqlite:///{home.folder}/catalog.sqlite"\n'
            )
            file.write(f'[keys]\nsite_secret_file = "{home.folder}/keys/site-secret"\n')
            file.write(f'key_encryption_key_file = "{home.folder}/keys/kek"\n')
            file.write(f'stores = ["{store(home, "a")}", "{store(home, "b")}"]\n')
        second = Home(home.folder.parent / "h2")
        second.folder.mkdir()
        second.uncleared = second.cleared = other
        second.configuration = settings.load(other, second.folder)
        second.receive(phantom(1, seed=8))
        report = home.json(*WHO, "--yes", code=1)
        assert report["gateways_pending"] == ["gateway-2"]
        assert report["done_here"]
        assert home.run(*WHO, "--yes").exit_code == 1
        assert second.json(*WHO, "--yes")["complete"]
        assert home.json(*WHO, "--yes")["complete"]
