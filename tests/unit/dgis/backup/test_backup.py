"""A backup brings back every row, but for what went since; a rehearsal tells the truth."""

import pytest
import sqlalchemy as sa

from catalog.tables import DEID, PHI, audit
from deid.pseudonyms import SiteSecrets
from dgis import database
from dgis.backup import making
from dgis.backup.box import Opener
from dgis.backup.making import Subject, back_up, file_name, prune, read_manifest
from dgis.backup.rehearsing import rehearse
from dgis.backup.restoring import Since, restore_into
from dgis.backup.values import BackupError
from dgis.configuration import Configuration
from dgis.departed import notes
from dgis.departed.notes import Teller
from dgis.review.values import Choice
from tests.canary import Hunt
from tests.tools import burned_in
from tests.unit.dgis.erasure.erasing import patient_key, shred
from tests.unit.dgis.rebuild.building import rebuild
from tests.unit.dgis.rebuild.databases import catalog, saved
from tests.unit.dgis.rebuild.test_rebuild import assert_same, lived
from tests.unit.dgis.site import phantom

OPENER = Opener(bytes(range(32)))
DERIVED = {"grant_epoch", "rebuild_run", "rebuild_part"}


def quiet(_what):
    return None


def since(site, *, keys=True):
    own = site.grid.fleet
    return Since(site.keys if keys else None, lambda away: notes.told(own, away, site.clock()), site.clock)


def backup(site, path):
    return back_up(Subject(site.configuration, site.engine, None), path, OPENER, site.clock(), quiet)


@pytest.fixture
def empty(tmp_path):
    """Another home, with a database that nobody has used."""
    engine = database.open_engine(Configuration(gateway={"home": tmp_path / "new"}))
    yield engine
    engine.dispose()


def rows_of(engine):
    return {name: [tuple(row.values()) for row in rows] for name, rows in saved(engine).items()}


def restored(site, path, engine):
    return restore_into(engine, path, OPENER, since(site), quiet)


def test_every_row_of_every_table_comes_back(desk, site, empty, tmp_path):
    lived(desk, site)
    made = backup(site, tmp_path / "b.backup")
    before = rows_of(site.engine)
    done = restored(site, made.path, empty)
    after = rows_of(empty)
    assert {name for name in before if before[name] != after[name] and name not in DERIVED} == set()
    assert done.manifest.rows["phi_instance"] == len(before["phi_instance"]) > 0
    assert len(before["audit"]) > 0


def test_nobody_reads_a_patient_in_the_file(site, tmp_path):
    images = phantom(3)
    site.publish(images)
    made = backup(site, tmp_path / "b.backup")
    raw = made.path.read_bytes()
    assert not Hunt({images[0].sop_instance_uid, images[0].study_uid}).find(raw)
    assert made.path.stat().st_mode & 0o077 == 0


def test_who_was_erased_since_never_comes_back(site, empty, tmp_path):
    gone, kept = phantom(3, person=0), phantom(2, person=1, seed=2)
    site.publish([*gone, *kept])
    made = backup(site, tmp_path / "b.backup")
    site.clock.pass_seconds(10)
    shred(site, patient_key(site, gone[0]))
    before = catalog(site.engine)
    done = restored(site, made.path, empty)
    assert done.erasures == 1
    assert catalog(empty) == before
    with empty.connect() as connection:
        uids = set(connection.scalars(sa.select(PHI.instance.c.sop_instance_uid)))
    assert uids == {image.sop_instance_uid for image in kept}


def test_what_was_withdrawn_since_never_comes_back(desk, site, empty, tmp_path):
    site.publish(burned_in.series(2))
    withdrawn, *_others = keys = desk.keys()
    desk.say(keys, Choice.RELEASE)
    desk.carry_out()
    made = backup(site, tmp_path / "b.backup")
    desk.say([withdrawn], Choice.WITHDRAW)
    Teller(site.engine, site.grid.fleet, site.clock).run_once()
    assert restored(site, made.path, empty).withdrawn == 1
    with empty.connect() as connection:
        shown = set(connection.scalars(sa.select(DEID.instance.c.instance_key)))
    assert len(shown) == 1
    assert withdrawn not in shown


def test_restored_and_rebuilt_is_what_it_was(desk, site, tmp_path):
    site.publish(phantom(2, person=2, seed=8))
    site.receive(phantom(2, person=1, seed=5))
    made = backup(site, tmp_path / "b.backup")
    lived(desk, site)
    before = catalog(site.engine)
    _emptied(site)
    restore_into(site.engine, made.path, OPENER, since(site), quiet)
    assert rebuild(site).complete
    assert_same(before, site)


def _emptied(site):
    """Lose the database, as with its disk."""
    if site.engine.dialect.name == "postgresql":
        with site.engine.begin() as connection:
            connection.execute(sa.text("DROP SCHEMA public CASCADE"))
            connection.execute(sa.text("CREATE SCHEMA public"))
        site.engine.dispose()
        return
    site.engine.dispose()
    for suffix in ("", "-wal", "-shm"):
        (site.home / f"catalog.sqlite{suffix}").unlink(missing_ok=True)


def test_a_database_that_holds_something_is_left_alone(site, empty, tmp_path):
    site.publish(phantom(2))
    made = backup(site, tmp_path / "b.backup")
    restored(site, made.path, empty)
    before = rows_of(empty)
    with pytest.raises(BackupError, match="already"):
        restored(site, made.path, empty)
    assert rows_of(empty) == before


class Killed(BaseException):
    """As if the process had ended here."""


@pytest.mark.parametrize("point", ["restore.filled", "restore.before_commit"])
def test_a_restore_that_was_killed_begins_anew(site, empty, tmp_path, monkeypatch, point):
    gone = phantom(2)
    site.publish(gone)
    made = backup(site, tmp_path / "b.backup")
    site.clock.pass_seconds(1)
    shred(site, patient_key(site, gone[0]))

    def hit(name):
        if name == point:
            raise Killed

    monkeypatch.setattr("dgis.failpoints.hit", hit)
    with pytest.raises(Killed):
        restored(site, made.path, empty)
    monkeypatch.setattr("dgis.failpoints.hit", lambda _name: None)
    database.migrate(empty)  # what a gateway does that is started in between
    with empty.connect() as connection:
        assert connection.execute(sa.select(PHI.instance)).all() == []
    restored(site, made.path, empty)
    assert catalog(empty) == catalog(site.engine)


def test_a_backup_that_was_killed_leaves_no_file_that_looks_like_one(site, tmp_path, monkeypatch):
    site.publish(phantom(2))
    path = tmp_path / file_name(site.name, site.clock())

    def hit(name):
        if name == "backup.written":
            raise Killed

    monkeypatch.setattr("dgis.failpoints.hit", hit)
    monkeypatch.setattr(making.Path, "unlink", lambda *_arguments, **_options: None)
    with pytest.raises(Killed):
        backup(site, path)
    monkeypatch.undo()
    assert [each.name for each in tmp_path.glob("dgis-*")] == []
    assert list(tmp_path.glob(".dgis-*.tmp"))
    backup(site, path)
    assert not list(tmp_path.glob(".dgis-*.tmp"))


def test_a_file_that_does_not_read_back_is_no_backup(site, tmp_path, monkeypatch):
    site.publish(phantom(2))
    real = making.read_manifest

    def wrong(path, opener):
        raw = path.read_bytes()
        path.write_bytes(raw[:-40] + bytes(40))
        return real(path, opener)

    monkeypatch.setattr(making, "read_manifest", wrong)
    with pytest.raises(BackupError):
        backup(site, tmp_path / "b.backup")
    assert list(tmp_path.glob("*b.backup*")) == []


def test_a_backup_never_replaces_one(site, tmp_path):
    backup(site, tmp_path / "b.backup")
    with pytest.raises(BackupError, match="already"):
        backup(site, tmp_path / "b.backup")


def test_only_backups_of_this_gateway_that_are_too_old_go(site, tmp_path):
    day = 86_400_000
    names = [file_name(site.name, site.clock() - age * day) for age in (0, 5, 9, 11, 400)]
    other = file_name("gateway-2", site.clock() - 400 * day)
    for name in (*names, other, "dgis-notes.backup", "letter.txt"):
        (tmp_path / name).write_text("")
    assert sorted(prune(tmp_path, site.name, 10, site.clock())) == sorted(names[3:])
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} >= {*names[:3], other, "letter.txt"}


def test_an_older_schema_is_brought_up_to_date(site, empty, tmp_path):
    site.publish(phantom(2))
    made = backup(site, tmp_path / "b.backup")
    assert read_manifest(made.path, OPENER).revision
    restored(site, made.path, empty)
    database.migrate(empty)


@pytest.fixture
def scratch(tmp_path):
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def rehearsal(site, path, scratch, **how):
    return rehearse(scratch, path, OPENER, (site.grid.fleet, since(site, **how)), quiet)


def test_a_rehearsal_of_a_good_backup_says_that_it_saves(desk, site, scratch, tmp_path):
    lived(desk, site)
    made = backup(site, tmp_path / "b.backup")
    found = rehearsal(site, made.path, scratch)
    assert found.saves, list(found.words())
    assert found.opened > 3
    assert list(scratch.iterdir()) == []
    assert any("would save you" in line for line in found.words())


def test_a_rehearsal_finds_a_key_that_is_nowhere(site, scratch, tmp_path):
    site.publish([*phantom(2), *phantom(2, person=1, seed=2)])
    made = backup(site, tmp_path / "b.backup")
    (site.home / "store" / "keys" / f"{patient_key(site, phantom(2)[0])}.json").unlink()
    found = rehearsal(site, made.path, scratch)
    assert (found.opened, found.without_key, found.saves) == (1, 1, False)
    assert any("would NOT" in line for line in found.words())


def test_a_rehearsal_finds_companions_that_no_node_has(site, scratch, tmp_path):
    site.publish(phantom(2))
    made = backup(site, tmp_path / "b.backup")
    for node in site.grid.memory.values():
        for name in [name for name in node.objects if name.startswith("sealed/")]:
            del node.objects[name]
    found = rehearsal(site, made.path, scratch)
    assert (found.unreadable, found.saves) == (1, False)


def test_a_rehearsal_follows_the_trail(site, scratch, tmp_path):
    site.publish(phantom(2))
    with site.engine.begin() as connection:
        connection.execute(sa.update(audit).values(caller="somebody else"))
    made = backup(site, tmp_path / "b.backup")
    found = rehearsal(site, made.path, scratch)
    assert (found.broken_trails, found.saves) == ((f"{site.name}/worker",), False)


def test_a_backup_of_another_key_says_so(site, scratch, tmp_path):
    made = backup(site, tmp_path / "b.backup")
    other = Opener(SiteSecrets(bytes(32)).key("other"))
    with pytest.raises(BackupError, match="not its key"):
        rehearse(scratch, made.path, other, (site.grid.fleet, since(site)), quiet)
