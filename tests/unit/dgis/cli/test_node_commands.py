"""Nodes go in and out of service by commands, as an operator types them."""

import shutil
import tempfile
from pathlib import Path

import pytest

from dgis import parts, settings
from replica.tables import replica_copy
from tests.unit.dgis.cli.home import Home
from tests.unit.dgis.site import phantom

NODE = '[[nodes]]\nkind = "folder"\nname = "node-{0}"\npath = "{1}/node-{0}"\nsite = "{2}"\n'


@pytest.fixture(autouse=True)
def _no_outside_settings(monkeypatch):
    for name in list(settings.os.environ):
        if name.startswith("DGIS__"):
            monkeypatch.delenv(name)


@pytest.fixture
def home():
    with tempfile.TemporaryDirectory(prefix="dgis-") as folder:  # short: it holds a Unix socket
        made = Home(Path(folder) / "h")
        made.folder.mkdir()
        made.plain = made.uncleared.read_text()
        configure(made, "abc")
        made.receive(phantom(3))
        made.publish()
        yield made


def configure(home, letters, copies=2):
    sites = {"a": "east", "b": "east", "c": "west", "d": "west"}
    nodes = "".join(NODE.format(letter, home.folder / "nodes", sites[letter]) for letter in letters)
    home.uncleared.write_text(f"{home.plain}[placement]\ncopies = {copies}\nwrite_quorum = 1\n{nodes}")
    home.configuration = settings.load(home.uncleared, home.folder)


def listed(home):
    return {row["name"]: row for row in home.json("node", "list")}


def files(home, letter):
    return [path for path in (home.folder / "nodes").glob(f"node-{letter}*/**/*_*") if path.is_file()]


def words(home):
    return home.run("status").output


def test_a_node_is_added_drained_and_removed(home):
    assert {name: row["state"] for name, row in listed(home).items()} == dict.fromkeys(
        ("node-a", "node-b", "node-c"), "active"
    )
    assert "write a [[nodes]] entry first" in home.run("node", "add", "node-d").output
    configure(home, "abcd")
    assert home.json("node", "add", "node-d")["state"] == "active"
    assert home.json("node", "drain", "node-a")["state"] == "draining"
    assert listed(home)["node-d"]["state"] == "active"
    assert not files(home, "a")
    assert "node-a is drained" in words(home)
    assert home.json("node", "remove", "node-a") == {
        "name": "node-a",
        "forgotten": 0,
        "made_anew": 0,
        "without_copy": 0,
    }
    configure(home, "bcd")
    assert "node-a" not in listed(home)
    assert len(files(home, "b") + files(home, "c") + files(home, "d")) == 4
    configure(home, "abcd")
    assert listed(home)["node-a"]["state"] == "removed"
    assert home.json("node", "add", "node-a")["state"] == "active"
    assert sum(len(files(home, letter)) for letter in "abcd") == 4


def test_a_new_node_says_that_it_waits_to_be_added(home):
    home.run("node", "read-only", "node-a")
    assert "node-a is read only" in words(home)
    configure(home, "abcd")
    assert listed(home)["node-d"]["state"] == "new"
    assert "trouble: node-d is configured and takes no objects yet (dgis node add node-d)" in words(home)
    assert home.json("node", "add", "node-d")["waiting"] == 0
    assert listed(home)["node-d"]["state"] == "active"
    assert "trouble" not in words(home)


def test_what_a_rule_cannot_do_without_is_not_drained(home):
    configure(home, "abc", copies=3)
    refused = home.run("node", "drain", "node-a")
    assert refused.exit_code == 1
    assert "copies is 3 but there are 2 nodes" in refused.output
    assert home.run("node", "read-only", "node-a").exit_code == 1
    assert listed(home)["node-a"]["state"] == "active"


def test_a_node_that_is_needed_is_removed_only_by_force_and_made_up_for(home):
    letter = next(each for each in "abc" if files(home, each))
    refused = home.run("node", "remove", f"node-{letter}")
    assert refused.exit_code == 1
    assert f"dgis node drain node-{letter}, or --force" in refused.output
    for folder in (home.folder / "nodes").glob(f"node-{letter}*"):
        shutil.rmtree(folder)
    done = home.json("node", "remove", f"node-{letter}", "--force")
    assert done["forgotten"] == done["made_anew"] >= 1
    assert done["without_copy"] == 0
    assert "cannot be kept" not in words(home)
    home.json("repair")
    left = set("abc") - {letter}
    assert all(len(files(home, each)) == 2 for each in left)


def test_the_last_known_copies_are_said_to_be_missing(home):
    holders = [each for each in "abc" if files(home, each)]
    for each in holders[:-1]:
        home.run("node", "remove", f"node-{each}", "--force")
    last = home.run("node", "remove", f"node-{holders[-1]}", "--force")
    assert last.exit_code == 1
    assert "trouble: a rule of placement cannot be kept by the nodes in service: copies is 2" in words(home)
    assert "no other known copy" in last.output
    assert f"node-{holders[-1]} is removed" in words(home)


def test_what_does_not_answer_or_is_anothers_is_not_added(home):
    home.run("node", "read-only", "node-a")
    configure(home, "abcd")
    there = home.folder / "nodes" / "node-d" / "record" / "00"
    there.mkdir(parents=True)
    (there / f"foreign_{'00' * 32}").write_bytes(b"x")
    refused = home.run("node", "add", "node-d")
    assert refused.exit_code == 1
    assert "none is known here" in refused.output
    assert listed(home)["node-d"]["state"] == "new"
    assert home.json("node", "add", "node-d", "--adopt")["state"] == "active"
    shutil.rmtree(home.folder / "nodes" / "node-d")
    refused = home.run("node", "add", "node-d")  # it is in service: its folder is not made anew
    assert refused.exit_code == 1
    assert "is the disk mounted" in refused.output
    row = listed(home)["node-d"]
    assert not row["answers"]
    assert "is the disk mounted" in row["health"]


def test_copies_on_a_node_that_is_not_configured_are_shown(home):
    configure(home, "bc", copies=1)
    if files(home, "a"):
        assert listed(home)["node-a"]["state"] == "unknown"
        assert "node-a, which is not in the configuration" in words(home)
    assert home.run("node", "remove", "node-x").exit_code == 1


def test_status_says_whether_the_scrub_keeps_its_period(home):
    scrub = home.json("status")["scrub"]
    assert scrub["kept"]
    assert scrub["oldest_verified_ms"] is not None
    assert "every copy within 30 days: kept" in words(home)
    engine = parts.open_database(home.configuration)
    with engine.begin() as connection:
        connection.execute(replica_copy.update().values(verified_ms=1))
    engine.dispose()
    assert not home.json("status")["scrub"]["kept"]
    assert "trouble: not every copy within 30 days; raise care.scrub_bytes_per_second" in words(home)


def test_decisions_are_in_the_trail(home):
    home.run("node", "read-only", "node-a")
    said = [row for row in home.json("audit", "list") if row["event"] == "configuration"]
    assert said[-1]["detail"] == {"node": "node-a", "state": "read-only", "what": "node"}
