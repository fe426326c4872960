"""`dgis review` and rule files, as a reviewer and an operator type them."""

import stat
import tempfile
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from dgis import settings
from tests.tools import burned_in
from tests.unit.dgis.cli.home import Home

TEXT = "{},{},{}x{}".format(*burned_in.TEXT)
SECRETS = ("Doe", "MRN-7731", "19601224")


@pytest.fixture(autouse=True)
def _no_outside_settings(monkeypatch):
    for name in list(settings.os.environ):
        if name.startswith("DGIS__"):
            monkeypatch.delenv(name)


@pytest.fixture
def images():
    """Two instances of one series, each of two frames."""
    return burned_in.series(2, frames=2)


@pytest.fixture
def home(images):
    """A home where they were sealed whole."""
    with tempfile.TemporaryDirectory(prefix="dgis-") as folder:  # short: it holds a Unix socket
        made = Home(Path(folder) / "h")
        made.folder.mkdir()
        made.receive(images)
        made.publish()
        yield made


def waiting(home, *options):
    return {row["instance"]: row for row in home.json("review", "list", *options)}


def test_the_queue_tells_pseudonyms_and_reasons_and_no_identity(home, images):
    listed = home.run("review", "list")
    assert listed.exit_code == 0, listed.output
    rows = home.json("review", "list")
    assert [(row["modality"], row["rows"], row["columns"], row["frames"]) for row in rows] == [
        ("US", 96, 128, 2)
    ] * 2
    assert {row["state"] for row in rows} == {"waiting"}
    shown = listed.output + str(rows)
    assert not [text for text in (*SECRETS, *(one.sop_instance_uid for one in images)) if text in shown]


def test_a_cleared_reviewer_sees_the_original_and_nobody_else_does(home, images, tmp_path):
    key = next(iter(waiting(home)))
    path = tmp_path / "shown.png"
    refused = home.run("review", "show", key, "--to", str(path))
    assert refused.exit_code == 1
    assert "not cleared" in refused.output
    assert not path.exists()
    shown = home.run("review", "show", key, "--to", str(path), "--frame", "2", cleared=True)
    assert shown.exit_code == 0, shown.output + repr(shown.exception)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    picture = imagecodecs.png_decode(path.read_bytes())
    assert any(
        burned_in.shows_name(picture, 255) and np.corrcoef(picture.flat, one.pixels[1].flat)[0, 1] > 0.999
        for one in images
    )
    beyond = home.run("review", "show", key, "--to", str(path), "--frame", "3", cleared=True)
    assert beyond.exit_code == 1
    assert "2 frames" in beyond.output


def test_blank_release_keep_and_withdraw_are_said_once_and_stand_in_the_log(home):
    first, second = waiting(home)
    said = home.json("review", "blank", first, "--rectangle", TEXT, "--frames", "1-2", "--by", "Dr. Who")
    assert said == {"decision": "blank", "instances": 1, "by": "Dr. Who"}
    assert waiting(home, "--all")[first]["state"] == "on its way"
    home.publish()
    assert list(waiting(home)) == [second]
    assert home.json("review", "keep", second, cleared=True)["by"] == "pacs"
    assert waiting(home) == {}
    assert waiting(home, "--all")[second]["state"] == "kept"
    home.json("review", "withdraw", first, "--by", "Dr. Who")
    assert waiting(home)[first]["reason"] == "a reviewer withdrew what was published"
    written = home.json("review", "log")
    assert written["broken_at"] is None
    assert [(one["decision"], one["by"]) for one in written["decisions"]] == [
        (f"blank {TEXT} 1-2", "Dr. Who"),
        ("keep", "pacs"),
        ("withdraw", "Dr. Who"),
    ]
    assert written["decisions"][0]["outcome"].startswith("published in ")
    assert [one["instance"] for one in home.json("review", "log", second)["decisions"]] == [second]
    shown = home.run("review", "log").output + home.run("review", "list", "--all").output
    assert not [text for text in SECRETS if text in shown]


def test_a_series_is_released_at_once(home):
    series = next(iter(waiting(home).values()))["series"]
    assert home.json("review", "release", "--series", series, "--by", "me")["instances"] == 2
    (entry,) = home.json("audit", "list", "--event", "review")
    assert (entry["detail"]["what"], entry["detail"]["by"], entry["detail"]["instances"]) == (
        "release",
        "me",
        2,
    )
    home.publish()
    assert waiting(home, "--all") == {}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("release", "2.25.77"), "no such instance here"),
        (("release",), "name instances, or a series"),
        (("release", "2.25.77", "--series", "2.25.78"), "name instances, or a series"),
        (("blank", "2.25.77"), "`blank` needs one"),
        (("blank", "2.25.77", "--rectangle", "1,2,3"), "X,Y,WIDTHxHEIGHT"),
        (("blank", "2.25.77", "--rectangle", "1,2,3x4", "--frames", "some"), "frames are written"),
        (("keep", "2.25.77", "--by", "a\nb"), "printable"),
    ],
)
def test_what_makes_no_sense_is_said_in_words_and_decides_nothing(home, arguments, words):
    told = home.run("review", *arguments)
    assert told.exit_code == 1
    assert words in told.output
    assert home.json("review", "log")["decisions"] == []


RULE = f"blank {TEXT}\t*\tUS\t*\tYES\t*\tacme*\t*\t*\t96x128\n"


def with_rules(home, text):
    rules = home.folder.parent / "rules.tsv"
    rules.write_text(text)
    home.uncleared.write_text(home.uncleared.read_text() + f'[deid]\nrules_file = "{rules}"\n')
    home.configuration = settings.load(home.uncleared, home.folder)


def test_a_rules_file_is_checked_with_the_configuration(home):
    with_rules(home, "# ours\n" + RULE)
    assert "1 own rules on pixels" in home.run("config", "check").output


def test_a_wrong_line_of_a_rules_file_is_named(home):
    with_rules(home, "# ours\npublish\t*\tUS\n")
    told = home.run("config", "check")
    assert told.exit_code == 1
    assert "rules.tsv: line 2: a pixel rule has six to ten fields" in " ".join(told.output.split())


def test_a_rule_publishes_what_it_blanks_with_no_reviewer(home):
    with_rules(home, RULE)
    home.receive(burned_in.series(1, patient="MRN-9"))
    home.publish()
    assert len(home.json("find", "image")) == 1
    assert len(waiting(home)) == 2
