"""`dgis export` and `dgis cohort` on a real home: de-identified whoever runs them."""

import json
import tempfile
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from dgis.demo import kinds
from tests.unit.dgis.cli.home import Home
from tests.unit.dgis.cli.test_commands import secrets_of
from tests.unit.dgis.site import phantom

IMAGES = (*phantom(3), *phantom(2, kinds.CT, 1))


@pytest.fixture(scope="module")
def home():
    """Two published series of two patients; commands here only look at them."""
    with tempfile.TemporaryDirectory(prefix="dgis-") as folder:  # short: it holds a Unix socket
        made = Home(Path(folder) / "h")
        made.folder.mkdir()
        made.receive(IMAGES)
        made.publish()
        yield made


@pytest.fixture(scope="module", params=[False, True], ids=["uncleared", "cleared"])
def exported(request, home, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    said = home.json("export", "catalog", "--to", str(folder), cleared=request.param)
    return folder, said["rows"]


def test_pandas_reads_tables_that_join(exported):
    folder, rows = exported
    assert rows == {"patients": 2, "studies": 2, "series": 2, "instances": 5}
    tables = {name: pd.read_parquet(folder / f"{name}.parquet") for name in rows}
    assert {name: len(table) for name, table in tables.items()} == rows
    joined = tables["instances"].merge(
        tables["series"], on=["PatientID", "StudyInstanceUID", "SeriesInstanceUID"]
    )
    joined = joined.merge(tables["studies"], on=["PatientID", "StudyInstanceUID"])
    assert joined.groupby("Modality")["SOPInstanceUID"].nunique().to_dict() == {"CT": 2, "PT": 3}
    assert tables["series"]["NumberOfSeriesRelatedInstances"].sum() == 5


def test_columns_are_typed_and_listed(exported):
    folder, rows = exported
    said = json.loads((folder / "schema.json").read_text())
    for name, table in said["tables"].items():
        schema = pq.read_schema(folder / table["file"])
        assert [each["name"] for each in table["columns"]] == schema.names
        assert table["rows"] == rows[name]
    schema = pq.read_schema(folder / "studies.parquet")
    assert str(schema.field("StudyDate").type) == "date32[day]"
    assert str(schema.field("NumberOfStudyRelatedSeries").type) == "int64"
    assert str(schema.field("ModalitiesInStudy").type).startswith("list<")
    assert "pd.read_parquet" in (folder / "README.md").read_text()


def test_nothing_of_an_original_is_in_it(exported):
    folder, _rows = exported
    tables = [pd.read_parquet(path).to_csv() for path in folder.glob("*.parquet")]
    assert len(tables) == 4
    shown = "\n".join([*tables, *(path.read_text() for path in folder.glob("*.json"))])
    assert not [secret for secret in secrets_of(IMAGES) if secret in shown]


def test_the_trail_has_it(home, exported):
    entries = home.json("audit", "list", "--event", "query")
    assert [entry for entry in entries if entry["detail"].get("what") == "export catalog"]


@pytest.mark.parametrize("cleared", [False, True])
def test_a_cohort_of_this_gateway(home, tmp_path, cleared):
    path = tmp_path / "cohort.json"
    made = home.json("cohort", "make", str(path), "-k", "Modality=PT", cleared=cleared)
    assert (made["count"], made["total"]) == (1, 3)
    assert not [secret for secret in secrets_of(IMAGES) if secret in path.read_text()]
    said = home.json("cohort", "verify", str(path), cleared=cleared)
    assert (said["same"], said["hash"]) == (True, made["hash"])
    both = home.json("cohort", "make", str(path), cleared=cleared)
    assert both["count"] == 2
    assert both["hash"] != made["hash"]


def test_a_cohort_that_is_gone_is_exit_code_1(home, tmp_path):
    path = tmp_path / "cohort.json"
    home.json("cohort", "make", str(path))
    with tempfile.TemporaryDirectory(prefix="dgis-") as folder:
        other = Home(Path(folder) / "h")
        other.folder.mkdir()
        other.receive(phantom(1, kinds.CT, 2))
        said = other.json("cohort", "verify", str(path), code=1)
    assert len(said["missing"]) == 2
    assert home.run("cohort", "make", str(path), "-k", "Modality=XX").exit_code == 1
