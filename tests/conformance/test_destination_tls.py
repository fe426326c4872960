"""C-MOVE over TLS to dcmtk's storescp, which asks for our certificate; a stranger there gets nothing."""

import json
import os
import socket
import subprocess
from contextlib import contextmanager

import pytest

from dgis.demo.files import write_files
from tests import dcmtk
from tests.gateway import Gateway, wait_until
from tests.unit.dgis.identity.makers import SERVER, Authority, authority, new_key, pem

pytestmark = [pytest.mark.dcmtk, pytest.mark.timeout(300), pytest.mark.xdist_group("destination-tls")]

PEERS = [
    {
        "ae_title": title,
        "addresses": ["127.0.0.1/32"],
        "assertions": {"user": "pacs", "department": "Radiology", "institution": "Demo Hospital"},
        "may": ["store", "find", "retrieve", "phi"],
    }
    for title in ("HOSPITAL", "SAFE", "STRANGER", "CLEAR")
]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Certificates: of the gateway as a client, of the destination, and of one that nobody vouches for."""
    folder = tmp_path_factory.mktemp("tls")
    for name, issued_by in (("known", authority()), ("strange", Authority())):
        key = new_key()
        (folder / f"{name}.key").write_bytes(pem(key))
        (folder / f"{name}.pem").write_bytes(pem(issued_by.issue("ws.hospital.example", key, usage=SERVER)))
    key = new_key()
    (folder / "own.key").write_bytes(pem(key))
    (folder / "own.pem").write_bytes(pem(authority().issue("gateway.hospital.example", key)))
    (folder / "ca.pem").write_bytes(pem(authority().certificate))
    write_files(folder / "images", 1)
    return folder


@contextmanager
def receiving(folder, title, port, certificate):
    """A storescp over TLS that requires a certificate of the known authority."""
    into = folder / title
    into.mkdir()
    tls = ["+tls", str(folder / f"{certificate}.key"), str(folder / f"{certificate}.pem"), "-rc"]
    command = ["storescp", "-aet", title, *tls, "+cf", str(folder / "ca.pem"), "+xa", "+B", "-pm", "-uf"]
    process = subprocess.Popen(
        [*command, "-od", str(into), "--fork", str(port)],
        env={**os.environ, "TCP_NODELAY": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: dcmtk._listens(port), 30, "storescp listens")
        yield into
    finally:
        process.terminate()
        process.wait(20)


def test_images_go_over_tls_to_who_is_known_and_to_nobody_else(folder):
    ports = {title: free_port() for title in ("SAFE", "STRANGER", "CLEAR")}
    tls = {
        "host": "127.0.0.1",
        "tls": True,
        "tls_ca": str(folder / "ca.pem"),
        "tls_name": "ws.hospital.example",
        "tls_certificate": str(folder / "own.pem"),
        "tls_key": str(folder / "own.key"),
    }
    settings = {
        "DGIS__DICOM__PEERS": json.dumps(PEERS),
        "DGIS__DICOM__DESTINATIONS": json.dumps(
            {title: {**tls, "port": port} for title, port in ports.items()}
        ),
    }
    sent = sorted((folder / "images").rglob("*.dcm"))
    with (
        Gateway(settings) as gateway,
        receiving(folder, "SAFE", ports["SAFE"], "known") as safe,
        receiving(folder, "STRANGER", ports["STRANGER"], "strange") as stranger,
        dcmtk.storescp(folder / "CLEAR", "CLEAR", ports["CLEAR"]) as clear,
    ):
        dcmtk.dcmsend(gateway.address, sent, "HOSPITAL")
        study = str(dcmtk.dcmread(sent[0], stop_before_pixels=True).StudyInstanceUID)
        keys = ["QueryRetrieveLevel=STUDY", f"StudyInstanceUID={study}"]
        wait_until(lambda: gateway.json("status")["catalog"]["received"], 60, "images are received")
        dcmtk.move(gateway.address, "HOSPITAL", "SAFE", keys)
        for title in ("STRANGER", "CLEAR"):
            assert dcmtk.move(gateway.address, "HOSPITAL", title, keys, check=False).returncode != 0
        came = {dcmtk.dataset_bytes(path) for path in safe.iterdir()}
        assert came
        assert came <= {dcmtk.dataset_bytes(path) for path in sent}
        assert [*stranger.iterdir(), *clear.iterdir()] == []
        found = {
            each["what"]: each["well"]
            for each in json.loads(gateway.cli("doctor", "--json", check=False).stdout)
        }
        assert found["destination SAFE: the files of TLS can be used"]
