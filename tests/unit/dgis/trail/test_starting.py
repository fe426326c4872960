"""What the trail says of a start: that it happened, and what the configuration has changed since the last."""

import json

import pytest
import sqlalchemy as sa

from catalog.audit import trail
from catalog.audit.values import Event
from dgis import settings
from dgis.trail.starting import digests, started, stopped

WRITER = "gateway-1/dicom"
S3 = """
[[nodes]]
kind = "s3"
name = "cloud-{number}"
endpoint = "https://s3.example"
bucket = "b"
access_key = "a"
secret_key = "{secret}"
sealed_bucket = "s"
"""
NODES = "".join(S3.format(number=number, secret="{secret}") for number in range(3))


def load(tmp_path, text=""):
    file = tmp_path / "dgis.toml"
    file.write_text(text)
    return settings.load(file, tmp_path / "home")


def start(site, configuration, role="dicom"):
    with site.engine.begin() as connection:
        started(connection, configuration, role, site.clock())


def kept(site, writer=WRITER):
    with site.engine.connect() as connection:
        return [entry.happening for entry in trail.entries(connection, writer)]


def of(happenings, event):
    return [one.detail for one in happenings if one.event is event]


def test_a_start_and_a_stop_are_recorded(site, tmp_path):
    configuration = load(tmp_path)
    start(site, configuration)
    stopped(site.engine, configuration, "dicom", site.clock())
    assert of(kept(site), Event.ACTIVITY) == [
        {"what": "start", "role": "dicom"},
        {"what": "stop", "role": "dicom"},
    ]


def test_the_same_configuration_is_recorded_once_for_each_role(site, tmp_path):
    for role in ("dicom", "worker", "dicom", "worker"):
        start(site, load(tmp_path), role)
    for writer in (WRITER, "gateway-1/worker"):
        (first,) = of(kept(site, writer), Event.CONFIGURATION)
        assert first["what"] == "first"


def test_what_was_changed_is_named_and_its_values_are_not(site, tmp_path):
    start(site, load(tmp_path))
    start(site, load(tmp_path, '[publish]\nstable_age_seconds = 7\n[gateway]\nfacility = "Somewhere Else"\n'))
    _first, changed = of(kept(site), Event.CONFIGURATION)
    assert changed["what"] == "changed"
    assert changed["settings"] == ["gateway.facility", "publish.stable_age_seconds"]
    assert "Somewhere Else" not in json.dumps(changed)


def test_a_standing_grant_that_changes_is_recorded_once(site, tmp_path):
    start(site, load(tmp_path))
    wider = '[[grants]]\nmay = ["find", "retrieve", "phi"]\nwho = { role = "reader" }\n'
    for role in ("dicom", "worker"):
        start(site, load(tmp_path, wider), role)
    first, changed = of(kept(site), Event.GRANT)
    assert (len(first["given"]), first["ended"]) == (1, [])
    assert (len(changed["given"]), changed["ended"]) == (1, first["given"])
    assert of(kept(site, "gateway-1/worker"), Event.GRANT) == []


def test_a_secret_leaves_no_trace(tmp_path):
    """A digest of a short secret would be as good as the secret."""
    one, other = (digests(load(tmp_path, NODES.replace("{secret}", secret))) for secret in ("s1", "s2"))
    assert one == other
    assert one["nodes"] != digests(load(tmp_path, NODES.replace("https", "http")))["nodes"]


def test_a_password_of_the_database_leaves_no_trace(tmp_path):
    urls = [f'[catalog]\nurl = "postgresql+psycopg://u:{word}@h/d"\n' for word in ("one", "two")]
    assert digests(load(tmp_path, urls[0])) == digests(load(tmp_path, urls[1]))


@pytest.mark.parametrize("times", range(3))
def test_the_order_of_a_set_is_no_change(tmp_path, times):
    del times
    rights = ["find", "retrieve", "phi", "store"]
    peer = '[[dicom.peers]]\nae_title = "A"\nmay = {}\n'
    one, other = (digests(load(tmp_path, peer.format(json.dumps(each)))) for each in (rights, rights[::-1]))
    assert one == other


def test_a_stop_that_cannot_be_recorded_is_no_failure(site, tmp_path, monkeypatch):
    def fail(*_):
        raise sa.exc.OperationalError("", {}, Exception())

    monkeypatch.setattr(trail, "append", fail)
    stopped(site.engine, load(tmp_path), "dicom", site.clock())
    monkeypatch.undo()
    assert kept(site) == []
