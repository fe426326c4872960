import os
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from dgis import parts, settings
from dgis.cli import machine
from dgis.cli.running import running_roles
from dgis.tables import publish_job
from tests.unit.dgis.cli.home import Home
from tests.unit.dgis.site import phantom

NAME = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "gateway")])


@pytest.fixture
def home(tmp_path):
    own = Home(tmp_path / "h")
    own.folder.mkdir(mode=0o700)
    return own


def configured(tmp_path, text):
    file = tmp_path / "c.toml"
    file.write_text(text)
    return settings.load(file, tmp_path / "h")


def troubles(looked):
    return {finding.what: finding.advice for finding in looked if not finding.well}


def certificate(folder, days, name="web"):
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(NAME).issuer_name(NAME).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now - timedelta(days=400))
    made = builder.not_valid_after(now + timedelta(days=days)).sign(key, hashes.SHA256())
    (folder / f"{name}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    (folder / f"{name}-key.pem").write_bytes(pem)
    return key


def revocations(folder, key, days):
    now = datetime.now(UTC)
    builder = x509.CertificateRevocationListBuilder().issuer_name(NAME).last_update(now - timedelta(days=90))
    made = builder.next_update(now + timedelta(days=days)).sign(key, hashes.SHA256())
    (folder / "crl.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))


WEB = '[web]\ntls_certificate = "{0}/web.pem"\ntls_key = "{0}/{1}-key.pem"\n'


@pytest.mark.parametrize(("days", "well"), [(90, True), (5, False), (-1, False)])
def test_a_certificate_that_ends_soon_is_told_in_time(tmp_path, days, well):
    certificate(tmp_path, days)
    found = list(machine.tls(configured(tmp_path, WEB.format(tmp_path, "web"))))
    (holds,) = [finding for finding in found if "holds until" in finding.what]
    assert holds.well is well


def test_a_key_of_another_certificate_and_a_file_that_is_none_are_told(tmp_path):
    certificate(tmp_path, 90)
    certificate(tmp_path, 90, "other")
    configuration = configured(tmp_path, WEB.format(tmp_path, "other"))
    assert "web: certificate and key belong together" in troubles(machine.tls(configuration))
    (tmp_path / "web.pem").write_text("nothing")
    assert f"web.tls_certificate: {tmp_path}/web.pem is a certificate in PEM form" in troubles(
        machine.tls(configuration)
    )


def test_a_list_of_revoked_ones_that_has_ended_is_told(tmp_path):
    key = certificate(tmp_path, 90)
    text = (
        WEB.format(tmp_path, "web")
        + f'tls_client_ca = "{tmp_path}/web.pem"\ntls_crl = "{tmp_path}/crl.pem"\n'
    )
    revocations(tmp_path, key, 60)
    assert not troubles(machine.tls(configured(tmp_path, text)))
    revocations(tmp_path, key, -1)
    ((what, advice),) = troubles(machine.tls(configured(tmp_path, text))).items()
    assert what.startswith("web.tls_crl holds until")
    assert "everybody is refused" in advice


def test_a_clock_that_went_back_is_told(home):
    home.receive(phantom(1))
    assert not troubles(machine.clock(home.configuration))
    engine = parts.open_database(home.configuration)
    with engine.begin() as connection:
        connection.execute(sa.update(publish_job).values(last_received_ms=parts.now_ms() + 3_600_000))
    engine.dispose()
    assert list(troubles(machine.clock(home.configuration))) == [
        "the clock has not gone back since images came"
    ]


def test_a_home_that_others_may_enter_is_told(home):
    assert not troubles(machine.owners(home.configuration))
    home.folder.chmod(0o755)
    assert troubles(machine.owners(home.configuration)) == {
        f"nobody else gets into {home.folder}": f"chmod 700 {home.folder}"
    }


def test_what_another_user_owns_is_told(home, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    ((what, advice),) = troubles(machine.owners(home.configuration)).items()
    assert what == f"{home.folder} belongs to the user who runs this"
    assert "sudo -u" in advice


@pytest.mark.parametrize(
    ("host", "facility", "well"),
    [("127.0.0.1", "Demo Hospital", True), ("0.0.0.0", "Demo Hospital", False), ("0.0.0.0", "St. E", True)],
)
def test_the_name_of_the_demo_is_for_the_demo(tmp_path, host, facility, well):
    text = f'[gateway]\nfacility = "{facility}"\n[dicom]\nhost = "{host}"\npeers = []\n'
    assert bool(troubles(machine.facility(configured(tmp_path, text)))) is not well


def test_a_key_store_that_is_away_is_told(home):
    home.receive(phantom(1))
    assert not troubles(machine.key_stores(home.configuration))
    store = home.configuration.keys.stores[1]
    store.rename(store.with_name("away"))
    assert list(troubles(machine.key_stores(home.configuration))) == [f"key store {store} answers"]


def test_a_port_that_somebody_else_has_is_told_also_after_a_gateway_died(home, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("DGIS__DICOM__PORT", str(port))
        monkeypatch.setenv("DGIS__WEB__PORT", "0")
        (home.folder / "run").mkdir(exist_ok=True)
        (home.folder / "run" / "dicom.json").write_text('{"pid": 4194305}')  # beyond the largest there can be
        found = home.json("doctor", code=1)
    (port_finding,) = [finding for finding in found if f"port {port} " in finding["what"]]
    assert not port_finding["well"]
    assert "dicom.port" in port_finding["advice"]


def test_only_living_processes_of_ours_are_running(home):
    run = home.folder / "run"
    run.mkdir()
    command = [sys.executable, "-c", "print(flush=True); input()", "dgis"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as ours:
        ours.stdout.readline()  # it is there
        (run / "dicom.json").write_text(f'{{"pid": {ours.pid}}}')
        (run / "web.json").write_text('{"pid": 4194305}')
        (run / "worker.json").write_text("half a")
        (run / "grid-jwks.json").write_text('{"keys": []}')
        assert running_roles(home.folder) == ["dicom"]
        ours.communicate(b"\n")
    assert running_roles(home.folder) == []
