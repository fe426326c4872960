"""`dgis backup`, `restore` and `rebuild` at the command line: everything lost but nodes and two files."""

import shutil
import tempfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dgis import settings
from dgis.cli.main import app
from dgis.demo.people import PEOPLE
from tests.unit.dgis.cli.home import Home
from tests.unit.dgis.site import phantom

IMAGES = [*phantom(3, person=0), *phantom(2, person=1, seed=2)]
KEYS = ("-k", "PatientID", "-k", "StudyInstanceUID", "-k", "NumberOfStudyRelatedInstances")


@pytest.fixture(autouse=True)
def _no_outside_settings(monkeypatch):
    for name in list(settings.os.environ):
        if name.startswith("DGIS__"):
            monkeypatch.delenv(name)


@pytest.fixture
def home():
    """Two patients published and evicted."""
    with tempfile.TemporaryDirectory(prefix="dgis-") as folder:  # short: it holds a Unix socket
        made = Home(Path(folder) / "h")
        made.folder.mkdir()
        made.receive(IMAGES)
        made.publish()
        made.json("cache", "evict", "--all")
        made.key = Path(folder) / "elsewhere" / "backup-key"
        yield made


def lose(home, *what):
    for name in what:
        for path in home.folder.glob(name):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def test_home_and_keys_lost_everything_comes_back(home, tmp_path):
    before = home.json("find", "study", *KEYS, cleared=True)
    opens = ("--key-file", str(home.key))
    made = home.json(
        "backup", "--to", str(tmp_path), "--with-keys", str(tmp_path / "k" / "keys.backup"), *opens
    )
    assert made["file"].startswith(str(tmp_path / "dgis-gateway-1-"))
    said = home.json("backup", "rehearse", made["file"], *opens)
    assert said["saves"]
    assert said["opened"] == 2
    home.receive(late := phantom(2, person=2, seed=5))
    home.publish()
    home.json(
        "keys", "shred", "--patient", PEOPLE[0].patient_id, "--issuer", "DEMO", "--yes", "--wait", "0", code=1
    )
    lose(home, "catalog.sqlite*", "cache")
    refused = home.run("restore", str(tmp_path / "k" / "keys.backup"), *opens)
    assert refused.exit_code == 1
    assert "no database" in refused.stderr
    done = home.json("restore", made["file"], *opens)
    assert done["erasures_since"] == 1
    home.json("rebuild")
    after = home.json("find", "study", *KEYS, cleared=True)
    ids = {one["PatientID"] for one in after}
    assert {one["PatientID"] for one in before} - ids == {PEOPLE[0].patient_id}
    assert PEOPLE[2].patient_id in ids
    assert home.json("status")["catalog"]["received"] == len(IMAGES) - 3 + len(late)
    again = home.run("restore", made["file"], *opens)
    assert again.exit_code == 1
    assert "empty" in again.stderr


def test_keys_come_out_of_their_own_file(home, tmp_path):
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("a long passphrase nobody guesses\n")
    opens = ("--passphrase-file", str(passphrase))
    keys = tmp_path / "k" / "keys.backup"
    made = home.json("backup", "--to", str(tmp_path / "b"), "--with-keys", str(keys), *opens)
    lose(home, "catalog.sqlite*", "keys", "cache")
    refused = home.run("restore", made["file"], *opens)
    assert refused.exit_code == 1
    assert "no keys are at hand" in refused.stderr
    done = home.json("restore", made["file"], "--keys", str(keys), *opens)
    assert done["patient_keys"] == 2
    assert {store["keys"] for store in home.json("keys", "status")["stores"]} == {2}
    stop = home.worker()
    try:
        home.run("fetch", IMAGES[0].study_uid, "--to", str(tmp_path / "out"), cleared=True)
    finally:
        stop()
    files = [path.read_bytes() for path in (tmp_path / "out").glob("*.dcm")]
    assert all(any(raw.endswith(image.dataset) for raw in files) for image in IMAGES[:3])


def test_what_is_missing_is_said(home, tmp_path):
    for arguments, words in (
        (("backup", "--to", str(tmp_path)), "what opens it"),
        (("backup", "--key-file", str(home.key)), "where to"),
        (("restore", str(tmp_path / "none.backup"), "--key-file", str(home.key)), "cannot read"),
    ):
        done = home.run(*arguments)
        assert done.exit_code == 1
        assert words in done.stderr
    beside = ("backup", "--to", str(tmp_path), "--with-keys", str(tmp_path / "keys.backup"))
    assert "another place" in home.run(*beside, "--key-file", str(home.key)).stderr
    assert list(tmp_path.glob("*.backup")) == []


def test_help_names_what_there_is():
    done = CliRunner().invoke(app, ["backup", "--help"])
    assert "rehearse" in done.stdout
