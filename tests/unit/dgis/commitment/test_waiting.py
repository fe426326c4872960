"""What is open of storage commitments and notices is counted with its age, in status and in doctor."""

import pytest
import sqlalchemy as sa

from dgis import parts
from dgis.availability.tables import availability_notice
from dgis.cli.commitments import look
from dgis.cli.status import _commitments
from dgis.commitment.tables import commitment
from dgis.commitment.values import State
from dgis.commitment.waiting import Waiting, waiting
from dgis.configuration import Configuration, Destination, Dicom
from dgis.destinations import destination_of

DAY = 86_400_000


def asked(state, requested_ms, number, error=None):
    return {
        "gateway_id": "gateway-1",
        "requestor": f"r{number}",
        "transaction_uid": f"1.2.{number}",
        "calling_ae": "HOSPITAL",
        "called_ae": "DGIS",
        "address": "127.0.0.1",
        "caller": "{}",
        "state": state.value,
        "requested_ms": requested_ms,
        "due_ms": 0,
        "last_error": error,
    }


def notice(series, first_ms):
    return {
        "destination": "WS",
        "series_key": series,
        "gateway_id": "gateway-1",
        "version": 1,
        "first_ms": first_ms,
        "due_ms": 0,
    }


def fill(engine, rows, notices=()):
    with engine.begin() as connection:
        connection.execute(sa.insert(commitment), rows)
        if notices:
            connection.execute(sa.insert(availability_notice), notices)


def test_what_is_open_is_counted_with_its_age(site):
    rows = [
        asked(State.WAITING, 500, 1),
        asked(State.WAITING, 400, 2),
        asked(State.JUDGED, 300, 3, "destination was away"),
        asked(State.GIVEN_UP, 200, 4, "too late"),
        asked(State.REPORTED, 100, 5),
    ]
    fill(site.engine, rows, [notice("s1", 70), notice("s2", 60)])
    with site.engine.connect() as connection:
        said = waiting(connection)
    assert said.judging == Waiting(2, 400, 0)
    assert said.reporting == Waiting(1, 300, 1)
    assert said.given_up == Waiting(1, 200, 1)
    assert said.notices == Waiting(2, 60, 0)


def test_status_says_nothing_where_nothing_is_open():
    none = {"count": 0, "since_ms": None, "failing": 0}
    said = dict.fromkeys(("judging", "reporting", "given_up", "notices"), none)
    assert _commitments(said) == []
    (line,) = _commitments({**said, "reporting": {"count": 3, "since_ms": 0, "failing": 2}})
    assert "3 reports are not delivered yet" in line
    assert "1970-01-01" in line
    assert "2 failed before" in line


@pytest.mark.parametrize(("hours", "well"), [(2, True), (30, False)])
def test_doctor_says_when_a_report_waits_too_long(tmp_path, hours, well):
    configuration = Configuration(gateway={"home": tmp_path})
    assert list(look(configuration)) == []
    engine = parts.open_database(configuration)
    fill(engine, [asked(State.JUDGED, parts.now_ms() - hours * 3_600_000, 1)])
    engine.dispose()
    found = {finding.what: finding.well for finding in look(configuration)}
    (said,) = [what for what in found if "reports wait for their destination" in what]
    assert f"for {hours} hours" in said
    assert [what for what, fine in found.items() if not fine] == ([] if well else [said])


def test_every_way_to_a_destination_goes_over_tls_where_it_is_configured(tmp_path):
    places = {
        "SAFE": Destination(host="ws.example", port=104, tls=True, tls_ca=tmp_path / "gone.pem"),
        "CLEAR": Destination(host="ws.example", port=104),
    }
    dicom = Dicom(destinations=places)
    assert destination_of(dicom, "CLEAR", "gateway-1").party("DGIS").tls is None
    tls = destination_of(dicom, "SAFE", "gateway-1").party("DGIS").tls
    assert tls.name == "ws.example"
    with pytest.raises(ConnectionError, match="tls_ca"):
        tls.context()


def test_settings_of_tls_without_tls_are_refused(tmp_path):
    with pytest.raises(ValueError, match="need tls = true"):
        Destination(host="ws.example", port=104, tls_ca=tmp_path)
    with pytest.raises(ValueError, match="belong together"):
        Destination(host="ws.example", port=104, tls=True, tls_key=tmp_path)
