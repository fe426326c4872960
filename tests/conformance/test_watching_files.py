"""Alert rules and dashboard as files: promtool, structure, and an entry of the run book for each alert."""

import json
import re

import pytest
import yaml

from tests.gateway import PROJECT
from tests.tools.promtool import promtool

PROMETHEUS = PROJECT / "deploy" / "prometheus"
RULES = [
    rule
    for group in yaml.safe_load((PROMETHEUS / "alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]
DASHBOARD = json.loads((PROJECT / "deploy" / "grafana" / "dgis.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
WIDTH = 24


def test_promtool_takes_the_rules_and_their_tests_hold():
    promtool("check", "rules", PROMETHEUS / "alerts.yaml")
    assert "SUCCESS" in promtool("test", "rules", PROMETHEUS / "alerts.test.yaml")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_alert_says_how_bad_it_is_and_where_to_read_on(rule):
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["runbook"] == f"docs/runbook.md#{rule['alert'].lower()}"


def test_every_alert_has_its_entry_in_the_run_book_and_no_entry_is_of_none():
    text = (PROJECT / "docs" / "runbook.md").read_text()
    entries = re.findall(r"^### ([A-Z][A-Za-z]+)$", text, re.MULTILINE)
    assert entries == [rule["alert"] for rule in RULES]


def test_the_dashboard_has_the_structure_that_grafana_loads():
    assert DASHBOARD["uid"] == "dgis"
    assert DASHBOARD["schemaVersion"] >= 36
    assert {each["name"] for each in DASHBOARD["templating"]["list"]} == {"datasource", "instance"}
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(numbers)) == len(numbers)
    for panel in PANELS:
        assert panel["type"] in {"timeseries", "stat"}
        assert panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert [target["refId"] for target in panel["targets"]] == sorted(
            {target["refId"] for target in panel["targets"]}
        )
        assert all("$instance" in target["expr"] for target in panel["targets"])


def test_no_panel_lies_on_another():
    taken = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= WIDTH
        assert not taken & cells, panel["title"]
        taken |= cells


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_promtool_reads_every_expression_of_the_dashboard(panel, tmp_path):
    expressions = [
        target["expr"].replace("$__rate_interval", "5m").replace("$instance", ".*")
        for target in panel["targets"]
    ]
    rules = [{"record": f"x:y{number}", "expr": expression} for number, expression in enumerate(expressions)]
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panel", "rules": rules}]}))
    promtool("check", "rules", path)
