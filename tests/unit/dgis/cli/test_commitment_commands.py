"""`dgis commitment`, as an operator types it: what is open, what it waits for, and that it tells no UID."""

import tempfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dgis import parts, settings
from dgis.availability import queue
from dgis.cli.main import app
from dgis.commitment.desk import Desk
from dgis.commitment.rows import claim_to_judge, judged, settle
from dgis.commitment.values import Finding, Judged, Known, Settled, Standing
from dgis.dimse.references import Commitment, Reference
from dgis.dimse.services import Session
from tests.unit.dgis.site import CLEARED

ORIGINAL, TRANSACTION = "1.2.3.77777", "1.2.3.88888"
MR = "1.2.840.10008.5.1.4.1.1.4"
NOW_MS = 1_700_000_000_000


@pytest.fixture(autouse=True)
def _no_outside_settings(monkeypatch):
    for name in list(settings.os.environ):
        if name.startswith("DGIS__"):
            monkeypatch.delenv(name)


@pytest.fixture
def home():
    """A home with one transaction: one instance is proven, one is not here."""
    with tempfile.TemporaryDirectory(prefix="dgis-") as folder:
        home = Path(folder) / "h"
        home.mkdir()
        engine = parts.open_database(settings.load(None, home))
        desk = Desk(engine, "gateway-1", "gateway-1/dicom", lambda: NOW_MS, 1_000)
        session = Session(1, CLEARED, "DGIS", "HOSPITAL_CT", "127.0.0.1")
        pair = (Reference(MR, ORIGINAL), Reference(MR, f"{ORIGINAL}.2"))
        assert desk.commit(session, Commitment(TRANSACTION, pair)) is None
        known = Known(1, MR, "KEY7", "P", "S", "r", 0, withheld=False, disputed=False, sha256=b"")
        proven = Settled(Finding(0, Standing.PROVEN, known), None)
        absent = Settled(Finding(1, Standing.ABSENT), 0x0112)
        with engine.begin() as connection:
            claimed = claim_to_judge(connection, "claim", NOW_MS, 1_000)
            assert settle(connection, claimed, Judged([proven, absent], []), NOW_MS, NOW_MS + 1_000)
            assert judged(connection, claimed, NOW_MS)
        engine.dispose()
        yield home


def run(home, *words):
    return CliRunner().invoke(app, ["commitment", *words, "--home", str(home)])


def test_list_and_show_say_how_it_stands_and_name_no_uid(home):
    listed, shown = run(home, "list"), run(home, "show", "1")
    assert (listed.exit_code, shown.exit_code) == (0, 0)
    assert all(word in listed.stdout for word in ("HOSPITAL_CT", "judged"))
    assert all(word in shown.stdout for word in ("KEY7", "committed", "0x0112", "not here"))
    for said in (listed.stdout, shown.stdout, run(home, "show", "1", "--json").stdout):
        assert ORIGINAL not in said
        assert TRANSACTION not in said


def test_a_transaction_is_found_by_its_uid(home):
    assert "HOSPITAL_CT" in run(home, "list", "--transaction", TRANSACTION).stdout
    assert "no transactions" in run(home, "list", "--transaction", "1.9").stdout


def test_retry_makes_it_due_and_says_what_is_not_there(home):
    assert run(home, "retry", "1").exit_code == 0
    missing = run(home, "retry", "7")
    assert missing.exit_code == 1
    assert run(home, "show", "7").exit_code == 1
    assert run(home, "retry", "one").exit_code == 2


def test_notices_are_listed_by_pseudonym(home):
    assert "nobody waits" in run(home, "notices").stdout
    engine = parts.open_database(settings.load(None, home))
    row = {"destination": "HOSPITAL_WS", "series_key": "SKEY", "gateway_id": "g", "version": 1}
    times = {"first_ms": NOW_MS, "due_ms": NOW_MS}
    with engine.begin() as connection:
        connection.execute(queue.availability_notice.insert().values(**row, **times))
    engine.dispose()
    assert "SKEY" in run(home, "notices").stdout
    assert run(home, "notices", "--json").stdout.count("HOSPITAL_WS") == 1
