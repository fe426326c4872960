"""What a whole gateway tells Prometheus: all that is documented, nothing that identifies."""

import json
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from dgis.dimse.endings import EndingKind
from dgis.dimse.pdu import REJECTIONS
from dgis.dimse.status import Status
from dgis.watch.steps import Step
from replica.values import CopyState
from storage_nodes import errors
from storage_nodes.addresses import Kind
from tests import dcmtk
from tests.canary import Hunt
from tests.gateway import PROJECT, Gateway, wait_until
from tests.tools.markdown import tables
from tests.tools.promtool import family, named, promtool

pytestmark = [pytest.mark.dcmtk, pytest.mark.timeout(300), pytest.mark.xdist_group("gateway-metrics")]

ALERTS = PROJECT / "deploy" / "prometheus" / "alerts.yaml"
DASHBOARD = PROJECT / "deploy" / "grafana" / "dgis.json"
STRANGER = "KANARIENVOGEL"
CANARIES = (
    STRANGER,
    "HOSPITAL_1",
    "Phantomov",
    "DEMO-7301946",
    "DEMO-8820517",
    "ACC7301946A",
    "19310417",
    "127.0.0.1",
)
STATUSES = {f"0x{status:04X}" for status in Status} | {"other"}
ALLOWED = {
    "role": {"dicom", "web", "worker"},
    "status": STATUSES,
    "reason": {each.words for each in REJECTIONS} | {"other"},
    "how": {each.value for each in EndingKind} | {"other"},
    "step": {each.value for each in Step},
    "outcome": {"published", "failed", "merged", "changed"},
    "node": {"node-a", "node-b", "node-c"},
    "kind": {each.value for each in Kind},
    "call": {"put", "get", "get_range", "stat", "delete"},
    "error": {name for name in vars(errors) if name[0].isupper()},
    "store": {"1", "2"},
    "state": {each.value for each in CopyState} | {"received", "pending", "published", "sealed"},
    "setting": {"dicom.tls_certificate", "web.tls_certificate", "audit.certificate_file"},
}
BOUNDED = {
    "version": re.compile(r"[\d.]+"),
    "python": re.compile(r"[\d.]+"),
    "le": re.compile(r"[\d.]+|\+Inf"),
}


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """A gateway that has stored, published, found, sent and refused; with what its metrics say then."""
    dcmtk.require_dcmtk()
    folder = tmp_path_factory.mktemp("watched")
    with Gateway() as gateway:
        command = [sys.executable, "-m", "dgis", "demo", "--write", str(folder / "phantoms")]
        subprocess.run(command, check=True, capture_output=True, cwd=PROJECT)
        files = sorted((folder / "phantoms" / "ct").glob("*.dcm"))
        dcmtk.storescu(gateway.address, files, "HOSPITAL_1", folder)
        refused = dcmtk.run(
            "storescu", "-aet", STRANGER, "-aec", "DGIS", *gateway.address, files[0], check=False
        )
        assert refused.returncode != 0
        dcmtk.storescu(gateway.address, files[:1], "RESEARCH_1", folder)
        gateway.wait_published()
        keys = ["QueryRetrieveLevel=STUDY", "PatientName=Phantomov*", "StudyInstanceUID"]
        (found,) = dcmtk.find(gateway.address, "HOSPITAL_1", keys, folder / "found")
        study = ["QueryRetrieveLevel=STUDY", f"StudyInstanceUID={found.StudyInstanceUID}"]
        dcmtk.get(gateway.address, "HOSPITAL_1", study, folder / "got")
        wait_until(lambda: _is_written(scrape(gateway)), 60, "every role has written its figures down")
        yield (
            gateway,
            len(files),
            sum(len(dcmtk.dataset_bytes(path)) for path in files),
            found.StudyInstanceUID,
        )


def scrape(gateway) -> str:
    answer = httpx.get(f"{gateway.web}/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return answer.text


def samples(text):
    return [sample for each in text_string_to_metric_families(text) for sample in each.samples]


def _sum(text, name, **labels):
    return sum(
        sample.value
        for sample in samples(text)
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def _is_written(text) -> bool:
    """Each role writes once a second, the worker's figures of the database come more rarely."""
    published = _sum(text, "dgis_publish_attempts_total", outcome="published")
    copies, nodes = _sum(text, "dgis_copies_available"), _sum(text, "dgis_node_up", role="worker")
    return (
        _sum(text, "dgis_retrieves_total") >= 1 and published >= 1 and copies == 6 * published and nodes == 6
    )


def families(text) -> set[str]:
    return {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}


def test_what_happened_is_counted(watched):
    gateway, count, size, _study = watched
    text = scrape(gateway)
    assert _sum(text, "dgis_instances_answered_total", status="0x0000") == count
    assert _sum(text, "dgis_instances_answered_total", status="0x0124") == 1
    assert _sum(text, "dgis_received_bytes_total") == size
    assert _sum(text, "dgis_associations_refused_total", reason="calling AE title not recognized") == 1
    assert _sum(text, "dgis_queries_total", status="0x0000") == 1
    assert _sum(text, "dgis_instances", state="published") == count
    assert _sum(text, "dgis_step_seconds_count", step="keep") == count
    assert _sum(text, "dgis_step_seconds_count", step="get") == 1
    assert _sum(text, "dgis_publish_attempts_total", outcome="published") >= 1
    assert _sum(text, "dgis_copies_available") == 6 * _sum(
        text, "dgis_publish_attempts_total", outcome="published"
    )
    assert _sum(text, "dgis_node_up", role="worker") == 6
    assert _sum(text, "dgis_node_call_seconds_count", call="put", role="worker") >= 6
    assert _sum(text, "dgis_role_up") == 3
    assert _sum(text, "dgis_database_up") == 1
    assert _sum(text, "dgis_key_store_up") == 2
    assert _sum(text, "dgis_queue_series") == 0


def test_every_label_has_one_of_a_few_values(watched):
    for sample in samples(scrape(watched[0])):
        for label, value in sample.labels.items():
            if label in BOUNDED:
                assert BOUNDED[label].fullmatch(value), (sample.name, label, value)
            else:
                assert value in ALLOWED[label], (sample.name, label, value)


def test_nothing_of_what_was_sent_or_asked_is_told(watched):
    gateway, _count, _size, study = watched
    hunt = Hunt([*CANARIES, str(study)])
    written = b"".join(path.read_bytes() for path in (gateway.home / "run" / "figures").iterdir())
    assert b"dgis_instances_answered_total" in written
    assert not hunt.find(scrape(gateway).encode())
    assert not hunt.find(written)


def test_the_documented_metrics_are_those_that_are_told(watched):
    rows = tables(PROJECT / "docs" / "operations.md")["Metrics"]
    documented = {
        name: {label for label in re.split(r",\s*", labels) if label} for name, labels, _what in rows
    }
    text = scrape(watched[0])
    assert documented.keys() == {name for name in families(text) if name.startswith("dgis_")}
    ours = {"le", "role"}  # of every histogram, and of every process
    for sample in samples(text):
        name = family(sample.name, families(text))
        if name.startswith("dgis_") and sample.labels:
            assert sample.labels.keys() - ours <= documented[name], sample.name


def test_promtool_has_nothing_to_say_of_a_scrape(watched):
    assert not promtool("check", "metrics", typed=scrape(watched[0])).strip()


def test_alerts_and_dashboard_name_only_what_there_is(watched):
    there = families(scrape(watched[0]))
    rules = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
    panels = [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]
    expressions = [rule["expr"] for rule in rules]
    expressions += [target["expr"] for panel in panels for target in panel["targets"]]
    used = {family(name, there) for expression in expressions for name in named(expression)}
    assert used <= there
    assert {"dgis_node_up", "dgis_step_seconds", "dgis_queue_oldest_timestamp_seconds"} <= used


def test_labels_in_alerts_and_dashboard_are_those_of_the_metrics():
    text = ALERTS.read_text() + DASHBOARD.read_text()
    matched = re.findall(r"[{,]\s*(\w+)\s*(?:=~|!=|!~|=)\s*[\"']([\w.|~ -]*)[\"']", text)
    assert {"role", "status", "step"} <= {label for label, _values in matched}
    for label, values in matched:
        if label not in {"instance", "job"}:
            assert set(values.split("|")) <= ALLOWED[label], (label, values)


def test_the_database_is_not_copied_while_it_is_written(watched, tmp_path):
    target = f"sqlite:///{tmp_path}/other.sqlite"
    refused = watched[0].cli("database", "copy", "--to", target, check=False)
    assert refused.returncode == 1
    assert "the gateway runs (dicom, web, worker): stop it first" in " ".join(refused.stderr.split())
    assert not (tmp_path / "other.sqlite").exists()


def test_a_role_that_is_gone_is_told(watched):
    gateway = watched[0]
    assert _sum(scrape(gateway), "dgis_role_up", role="worker") == 1
    socket = gateway.home / "run" / "keyholder.sock"
    socket.rename(socket.with_name("away.sock"))
    try:
        wait_until(
            lambda: _sum(scrape(gateway), "dgis_role_up", role="worker") == 0, 20, "the worker is missed"
        )
    finally:
        socket.with_name("away.sock").rename(socket)


def test_a_node_that_is_gone_and_a_lost_quorum_are_told(watched):
    gateway = watched[0]
    words = "fewer nodes answer than placement.write_quorum: images are kept, nothing is published"
    gateway.take_away("a")
    gateway.take_away("b")
    try:
        wait_until(lambda: _sum(scrape(gateway), "dgis_node_up", role="worker") == 2, 60, "two are missed")
        wait_until(
            lambda: httpx.get(f"{gateway.web}/readyz").json()["words"] == [words], 20, "and words say so"
        )
        assert httpx.get(f"{gateway.web}/readyz").status_code == 200
    finally:
        gateway.bring_back("a")
        gateway.bring_back("b")
    wait_until(lambda: _sum(scrape(gateway), "dgis_node_up", role="worker") == 6, 120, "they are back")


def test_a_process_that_ended_leaves_no_figures(watched):
    gateway = watched[0]
    folder = gateway.home / "run" / "figures"
    assert sorted(path.name.partition("-")[0] for path in folder.iterdir()) == ["dicom", "worker"]
    assert gateway.stop() == 0
    assert not list(Path(folder).iterdir())
