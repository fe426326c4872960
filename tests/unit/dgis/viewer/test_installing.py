"""The viewer in its place: whole or as it was."""

import fcntl
import gzip
import os
from pathlib import Path

import pytest

from dgis.viewer import fetching, installed, installing, trimming
from dgis.viewer.package import OHIF, ViewerError
from tests.unit.dgis.viewer.package import CHUNK, LEFT, PAGE, SCRIPT, SERVED, WORKER, built

ENGINES = Path(__file__).resolve().parents[4] / "deploy" / "engines.sh"


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def put(home, tmp_path, version="1.2.3", files=None):
    path, package = built(tmp_path, files, version)
    return installing.install(home, path, package=package)


def folders(home):
    return {each.name for each in installed.folder_of(home).iterdir() if each.is_dir()}


def text(home, found, name):
    return (installed.folder_of(home) / found.folder / name).read_text()


def test_what_shows_images_is_installed_and_nothing_else(home, tmp_path):
    found = put(home, tmp_path)
    assert set(found.files) == {name.removeprefix("dist/") for name in SERVED}
    on_disk = installed.folder_of(home) / found.folder
    lie = {str(path.relative_to(on_disk)) for path in on_disk.rglob("*") if path.is_file()}
    assert lie == {*found.files, *(f"{name}.gz" for name, kept in found.files.items() if kept.zipped)}
    assert installed.read(home) == found
    assert installing.damaged(home, found) == []


@pytest.mark.parametrize("name", LEFT)
def test_what_is_left_behind_has_no_name_to_be_served_by(name):
    assert trimming.served_name(name) is None


def test_files_find_each_other_under_the_path(home, tmp_path):
    found = put(home, tmp_path)
    under = f"/viewer/{found.folder}/"
    assert text(home, found, SCRIPT) == f'before(); __webpack_require__.p = "{under}"; after();'
    assert text(home, found, WORKER) == f'__webpack_require__.p = "{under}"; work();'
    assert text(home, found, CHUNK) == SERVED[f"dist/{CHUNK}"]
    style = SERVED["dist/app.bundle.css"].replace("url(/0d", f"url({under}0d").replace("'/0d", f"'{under}0d")
    assert text(home, found, "app.bundle.css") == style
    assert text(home, found, "0e.wasm") == SERVED["dist/0e.wasm"]
    assert {name for name, kept in found.files.items() if kept.entry} == {SCRIPT, WORKER}
    zipped = installed.folder_of(home) / found.folder / f"{SCRIPT}.gz"
    assert gzip.decompress(zipped.read_bytes()).decode() == text(home, found, SCRIPT)


def test_another_installation_takes_the_place_of_the_first(home, tmp_path):
    first, second = put(home, tmp_path), put(home, tmp_path)
    assert first.folder != second.folder, "browsers keep files by their address"
    assert installed.read(home) == second
    assert folders(home) == {second.folder}


@pytest.mark.parametrize(
    "files",
    [
        {**SERVED, **LEFT, "dist/index.html": "<html></html>"},
        {**SERVED, **LEFT, f"dist/{SCRIPT}": "before();"},
        {**SERVED, **LEFT, f"dist/{WORKER}": "work();"},
        {name: content for name, content in {**SERVED, **LEFT}.items() if name != "LICENSE"},
        {name: content for name, content in {**SERVED, **LEFT}.items() if name != "dist/app.bundle.css"},
        {**SERVED, "dist/index.html": PAGE.replace(SCRIPT, "app.bundle.ff.js")},
    ],
    ids=("no script", "no public path", "no worker", "no licence", "no style", "another script"),
)
def test_a_package_that_is_built_otherwise_leaves_what_was_there(home, tmp_path, files):
    before = put(home, tmp_path)
    with pytest.raises(ViewerError, match="not built as expected"):
        put(home, tmp_path, "2.0.0", files)
    assert installed.read(home) == before
    assert folders(home) == {before.folder}


def test_a_crash_before_the_commit_leaves_the_old_one_and_the_next_run_takes_the_rest(
    home, tmp_path, monkeypatch
):
    before = put(home, tmp_path)

    class Crash(BaseException):
        pass

    def crash(*_given):
        raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", crash)
        patched.setattr(installing, "_sweep", crash)  # a dead process tidies nothing
        with pytest.raises(Crash):
            put(home, tmp_path, "2.0.0")
    assert installed.read(home) == before
    assert installing.damaged(home, before) == []
    assert len(folders(home)) == 2
    after = put(home, tmp_path, "2.0.0")
    assert folders(home) == {after.folder}
    assert {each.name for each in installed.folder_of(home).iterdir()} == {
        after.folder,
        installed.FILE,
        "lock",
    }


def test_a_crash_after_the_commit_leaves_the_new_one(home, tmp_path, monkeypatch):
    put(home, tmp_path)

    def crash(*_given):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(installing, "_sweep", crash)
        with pytest.raises(KeyboardInterrupt):
            put(home, tmp_path, "2.0.0")
    found = installed.read(home)
    assert found.version == "2.0.0"
    assert installing.damaged(home, found) == []


def test_one_installs_at_a_time(home, tmp_path):
    put(home, tmp_path)
    with (installed.folder_of(home) / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ViewerError, match="another dgis viewer is at work"):
            put(home, tmp_path)
        with pytest.raises(ViewerError, match="another dgis viewer is at work"):
            installing.remove(home)


def test_a_home_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "home").write_text("a file")
    with pytest.raises(ViewerError, match="cannot write below"):
        put(tmp_path / "home", tmp_path)


def test_files_that_changed_are_found(home, tmp_path):
    found = put(home, tmp_path)
    folder = installed.folder_of(home) / found.folder
    (folder / SCRIPT).write_text("changed")
    (folder / f"{WORKER}.gz").write_bytes(b"changed")
    (folder / "0d.woff2").unlink()
    assert sorted(installing.damaged(home, found)) == sorted([SCRIPT, WORKER, "0d.woff2"])


def test_it_can_be_taken_away(home, tmp_path):
    assert installing.remove(home) is None
    found = put(home, tmp_path)
    assert installing.remove(home) == found
    assert installed.read(home) is None
    assert folders(home) == set()
    assert installing.remove(home) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("1.2.3-", "../1.2.3-"),
        ('"app.bundle.css":', '"../app.bundle.css":'),
        ('"app.bundle.css":', '"/app.bundle.css":'),
        ('"app.bundle.css":', '"a//b.css":'),
        ('"version"', '"unknown"'),
        ("{", ""),
    ],
)
def test_what_says_it_is_not_believed_blindly(home, tmp_path, old, new):
    put(home, tmp_path)
    path = installed.folder_of(home) / installed.FILE
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ViewerError, match="damaged: dgis viewer install"):
        installed.read(home)
    assert installing.remove(home) is None
    assert not path.exists()


def npm(folder, script):
    """An npm of ours, first in the way."""
    path = folder / "bin" / "npm"
    path.parent.mkdir()
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return f"{path.parent}{os.pathsep}{os.defpath}"


def test_npm_fetches_it(home, tmp_path, monkeypatch):
    path, package = built(tmp_path)
    script = f'[ "$1 $2 $3" = "pack @test/app@1.2.3 --pack-destination" ] && cp {path} "$4"'
    monkeypatch.setenv("PATH", npm(tmp_path, script))
    found = installing.install(home, package=package)
    assert folders(home) == {found.folder}


def test_what_npm_brought_is_checked(home, tmp_path, monkeypatch):
    _path, package = built(tmp_path)
    monkeypatch.setenv("PATH", npm(tmp_path, 'echo other >"$4/other.tgz"'))
    with pytest.raises(ViewerError, match=r"is not @test/app@1\.2\.3"):
        installing.install(home, package=package)
    assert installed.read(home) is None
    assert folders(home) == set()


@pytest.mark.parametrize("script", ["echo no such host >&2; exit 1", "echo no such host"])
def test_npm_that_brings_nothing_is_quoted(home, tmp_path, monkeypatch, script):
    monkeypatch.setenv("PATH", npm(tmp_path, script))
    with pytest.raises(ViewerError, match=r"did not get @ohif/app@[0-9.]+: no such host\n.*--from FILE"):
        installing.install(home)


def test_without_npm_it_is_said_how_to_go_on(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ViewerError, match=r"npm is not installed here: .*dgis viewer install --from FILE"):
        fetching.fetched(OHIF, tmp_path)


def test_the_tests_fetch_the_version_that_is_installed():
    assert f"npm pack {OHIF.spec} " in ENGINES.read_text()
