"""Asking: selections are lazy, pages are all read, refusals are words."""

import datetime as dt
import json
import subprocess
import sys

import pytest

import dgis.client as grid
from dgis.client.transport import Transport
from tests.tools.dicomweb_server import DicomwebServer
from tests.unit.dgis.client.build import slices
from tests.unit.dgis.client.conftest import file_of


@pytest.fixture
def connected(server):
    with grid.connect(server.url) as connected:
        yield connected


def test_nothing_is_asked_before_it_is_needed(server, connected):
    selection = connected.series(Modality="CT").series(BodyPartExamined="CHEST")
    assert not server.asked
    assert len(selection) == 1
    assert [row["SeriesInstanceUID"] for row in selection] == ["1.2.1.1"]
    assert server.asked["/dicom-web/series"] == 2  # one page, and that there is no other


def test_all_pages_are_read_though_the_gateway_gives_fewer_than_asked(connected):
    rows = connected.instances(SeriesInstanceUID="1.2.1.2").rows
    assert len({row["SOPInstanceUID"] for row in rows}) == 20


def test_a_key_that_the_gateway_does_not_match_by_is_no_question(server, connected):
    """It would be left out, and everything found."""
    server.unmatched = {"SliceThickness"}
    with pytest.raises(grid.BadQueryError, match="SliceThickness"):
        len(connected.series(SliceThickness="1.5"))


def test_nothing_found_is_an_empty_selection_and_nothing_to_download(connected, tmp_path):
    selection = connected.series(Modality="MR")
    assert len(selection) == 0
    assert selection.to_pandas().empty
    with pytest.raises(grid.NotFoundError, match="nothing matches"):
        selection.download(tmp_path)


def test_a_table_has_numbers_and_dates(connected):
    table = connected.series().with_columns("StudyDate").to_pandas()
    assert table["SeriesNumber"].tolist() == [1, 2]
    assert table["StudyDate"].dt.year.tolist() == [2021, 2021]
    assert table.columns[0] == "SeriesInstanceUID"


def test_from_studies_to_series(connected):
    assert len(connected.studies(StudyInstanceUID=["1.2.1", "1.2.9"]).series()) == 2


def test_values_are_said_as_searches_say_them(connected):
    selection = connected.studies(StudyDate=dt.date(2021, 2, 3))
    assert selection.keys == (("StudyDate", "20210203"),)
    assert len(selection) == 1


def test_a_volume_with_its_geometry(connected):
    volume = connected.series(BodyPartExamined="CHEST").volume()
    assert volume.array[:, 0, 0].tolist() == [-1000, -950, -900]
    assert volume.spacing == (5.0, 2.0, 3.0)
    with pytest.raises(grid.BadQueryError, match="one series, these are 2"):
        connected.series(Modality="CT").array()


def test_several_volumes_are_said_not_chosen():
    files = [
        file_of(each)
        for kind in ("AXIAL", "LOCALIZER")
        for each in slices(
            [0, 5], ImageType=["ORIGINAL", "PRIMARY", kind], StudyInstanceUID="1.2", SeriesInstanceUID="1.3"
        )
    ]
    with DicomwebServer(files) as server, grid.connect(server.url) as connected:
        with pytest.raises(grid.VolumeError, match="2 volumes"):
            connected.series().volume()
        assert len(connected.series().volumes().volumes) == 2


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (401, grid.LoginError, "credential"),
        (403, grid.RefusedError, "may not"),
        (404, grid.NotFoundError, "nothing by that name"),
        (400, grid.BadQueryError, "keys"),
        (418, grid.AnswerError, "URL of a gateway"),
        (500, grid.UnavailableError, "failed"),
    ],
)
def test_refusals_are_exceptions_that_say_what_to_do(server, connected, status, error, words):
    server.faults["/dicom-web/series"] = [status]
    with pytest.raises(error, match=words) as raised:
        len(connected.series())
    assert "as the test wants it" in str(raised.value)


def test_a_gateway_that_is_busy_is_asked_again(server):
    waited = []
    transport = Transport(server.url, None, sleep=waited.append)
    server.faults["/dicom-web/series"] = [503, 503]
    assert transport.document("/dicom-web/series", ())[0]
    assert len(waited) == 2
    server.faults["/dicom-web/series"] = [503] * 9
    with pytest.raises(grid.UnavailableError, match="ask again later"):
        transport.document("/dicom-web/series", ())
    transport.close()


def test_nobody_there_is_said():
    transport = Transport("http://127.0.0.1:1", None, sleep=lambda _: None)
    with pytest.raises(grid.UnavailableError, match="is it running"):
        transport.document("/dicom-web/series", ())
    transport.close()


@pytest.mark.parametrize("form", ["token", "answer", "plain"])
def test_logins(server, tmp_path, monkeypatch, form):
    server.token = "secret"
    with grid.connect(server.url) as stranger, pytest.raises(grid.LoginError):
        len(stranger.series())
    path = tmp_path / "credential"
    path.write_text(json.dumps({"access_token": "secret"}) if form == "answer" else "secret\n")
    given = {"token": "secret"} if form == "token" else {"credential": path}
    with grid.connect(server.url, **given) as known:
        assert len(known.series()) == 2
    monkeypatch.setenv("DGIS_CLIENT_URL", server.url)
    monkeypatch.setenv("DGIS_CLIENT_CREDENTIAL", str(path))
    with grid.connect() as known:
        assert len(known.series()) == 2


@pytest.mark.parametrize(
    ("url", "given", "words"),
    [
        (None, {}, "URL"),
        ("ftp://here", {}, "no http"),
        ("http://grid.example.org", {"token": "x"}, "in clear"),
        ("http://127.0.0.1", {"token": "x", "account": ("a", "b")}, "one of"),
        ("http://127.0.0.1", {"credential": "/nowhere"}, "cannot be read"),
    ],
)
def test_what_cannot_be_a_connection_is_said_at_once(url, given, words):
    with pytest.raises(grid.LoginError, match=words):
        grid.connect(url, **given)


def test_importing_it_loads_nothing_else():
    """Neither the server nor the libraries of the extra: what is behind a name comes when it is asked for."""
    program = """
import sys
import dgis.client
assert {name for name in sys.modules if name.startswith("dgis")} == {"dgis", "dgis.client"}
others = {"httpx", "numpy", "pydicom", "rich"}
assert not others & set(sys.modules), others & set(sys.modules)
dgis.client.connect
heavy = {"fastapi", "sqlalchemy", "pandas", "zarr", "nibabel", "pyarrow", "uvicorn", "boto3", "pynetdicom"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
layers = {"catalog", "replica", "storage_nodes", "dgis.web", "dgis.configuration"} & set(sys.modules)
assert not layers, layers
"""
    subprocess.run([sys.executable, "-c", program], check=True)
