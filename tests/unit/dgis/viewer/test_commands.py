"""`dgis viewer`, as somebody types it."""

import json

import pytest
from typer.testing import CliRunner

from dgis.cli import viewer
from dgis.cli.main import app
from dgis.viewer import installed, installing
from tests.tools.logging_apart import logging_apart
from tests.unit.dgis.viewer.package import SCRIPT, SERVED, built


@pytest.fixture
def run(tmp_path):
    def run(*arguments):
        with logging_apart():
            return CliRunner().invoke(app, ["viewer", *arguments, "--home", str(tmp_path)])

    return run


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A package's file that the command takes for OHIF's."""
    path, package = built(tmp_path)
    real = installing.install
    monkeypatch.setattr(viewer.installing, "install", lambda *given: real(*given, package=package))
    return str(path)


def test_it_is_installed_looked_at_and_taken_away(run, file):
    assert "no viewer is installed" in run("status").output
    assert "@test/app 1.2.3 is installed" in run("install", "--from", file).stdout
    said = json.loads(run("status", "--json").stdout)
    assert said["installed"]
    assert (said["package"], said["version"], said["damaged"]) == ("@test/app", "1.2.3", [])
    assert said["files"] == len(SERVED)
    assert json.loads(run("remove", "--json").stdout)["removed"]
    assert json.loads(run("status", "--json").stdout) == {"installed": False, "damaged": []}
    assert "no viewer was installed" in run("remove").output


def test_what_is_damaged_is_said_and_is_a_failure(run, file, tmp_path):
    run("install", "--from", file)
    (installed.folder_of(tmp_path) / installed.read(tmp_path).folder / SCRIPT).write_text("changed")
    done = run("status")
    assert done.exit_code == 1
    assert SCRIPT in done.output


def test_another_file_is_refused(run, tmp_path):
    path, _package = built(tmp_path)
    done = run("install", "--from", str(path))
    assert done.exit_code == 1
    assert "is not @ohif/app@" in done.output
    assert json.loads(run("status", "--json").stdout)["installed"] is False
