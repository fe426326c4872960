"""kill -9 while a node is drained: nothing is missing, and the same command goes on."""

import hashlib
import os
import signal
import subprocess
import sys

import pytest

from dgis import fleet, parts, settings
from replica import leaving
from replica.context import Replicas
from replica.intent import commit_copies
from replica.store import put_with_quorum
from replica.values import NewObject, Stored
from storage_nodes.addresses import Kind
from storage_nodes.names import RecordKey
from tests.gateway import wait_until

OBJECTS = 12
SITES = {"a": "east", "b": "east", "c": "west", "d": "west"}
PLACEMENT = "[placement]\ncopies = 2\nwrite_quorum = 2\n"
NODE = '[[nodes]]\nkind = "folder"\nname = "{0}"\npath = "{1}/{0}"\nsite = "{2}"\n'


@pytest.fixture
def home(tmp_path):
    """A home where gateways have run, and objects lie on four folder nodes."""
    (tmp_path / "h").mkdir()
    config = tmp_path / "dgis.toml"
    config.write_text(
        PLACEMENT + "".join(NODE.format(name, tmp_path / "n", site) for name, site in SITES.items())
    )
    configuration = settings.load(config, tmp_path / "h")
    fleet.prepare_new_nodes(configuration)
    engine = parts.open_database(configuration)
    replicas = Replicas(engine, fleet.open_fleet(configuration), fleet.rules(configuration))
    objects = []
    for number in range(OBJECTS):
        body = b"%d" % number * 100
        new = NewObject(RecordKey(f"k{number}"), Kind.RECORD, len(body), hashlib.sha256(body).digest())
        stored = put_with_quorum(replicas, new, body)
        assert isinstance(stored, Stored)
        with engine.begin() as connection:
            commit_copies(connection, stored, parts.now_ms())
        objects.append(new)
    yield tmp_path, replicas, objects
    engine.dispose()


def command(folder, *arguments):
    options = ["--home", str(folder / "h"), "--config", str(folder / "dgis.toml")]
    return [sys.executable, "-m", "dgis", *arguments, *options]


def holders(folder, new):
    paths = ((name, folder / "n" / name / new.name) for name in SITES)
    return {
        name
        for name, path in paths
        if path.exists() and hashlib.sha256(path.read_bytes()).digest() == new.sha256
    }


@pytest.mark.slow
def test_a_drain_that_is_killed_goes_on(home):
    folder, replicas, objects = home
    there = [new for new in objects if "a" in holders(folder, new)]
    assert len(there) > 1, "twelve draws of two in four"
    slow = command(folder, "node", "drain", "a", "--bytes-per-second", "1")  # it waits after the first object
    drain = subprocess.Popen(slow, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: leaving.left_on(replicas, "a").copies < len(there), 60, "a copy is moved")
    finally:
        os.kill(drain.pid, signal.SIGKILL)
        drain.wait()
    left = leaving.left_on(replicas, "a").copies
    assert 0 < left < len(there)
    assert all(len(holders(folder, new)) >= 2 for new in objects)

    refused = subprocess.run(
        command(folder, "node", "remove", "a"), capture_output=True, text=True, check=False
    )
    assert refused.returncode == 1
    assert f"{left} objects would have fewer copies" in refused.stderr
    subprocess.run(command(folder, "node", "drain", "a"), check=True, capture_output=True)
    subprocess.run(command(folder, "node", "remove", "a"), check=True, capture_output=True)
    assert all(len(holders(folder, new)) == 2 for new in objects)
    assert not any("a" in holders(folder, new) for new in objects)
