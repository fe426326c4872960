"""Orthanc with its DICOMweb plugin, as Debian packages them: somebody else's client of the web door."""

import json
import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.bench.machine import free_port
from tests.gateway import wait_until

PROGRAM = "/usr/sbin/Orthanc"
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
_START_SECONDS, _STOP_SECONDS = 60, 20


def require_orthanc():
    """Skip where Orthanc or its plugin is missing; in CI that is a failure."""
    if Path(PROGRAM).is_file() and PLUGIN.is_file():
        return
    reason = "no Orthanc with DICOMweb: `make engines` installs it (Debian, root)"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def orthanc(folder, servers):
    """Yield a client of an Orthanc that knows these DICOMweb servers, by name; it is stopped at the end."""
    port = free_port()
    settings = {
        "StorageDirectory": str(folder / "db"),
        "IndexDirectory": str(folder / "db"),
        "DicomServerEnabled": False,
        "HttpPort": port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "Plugins": [str(PLUGIN)],
        "DicomWeb": {"Enable": True, "Servers": servers},
    }
    configuration = folder / "orthanc.json"
    configuration.write_text(json.dumps(settings))
    log = folder / "orthanc.log"
    with log.open("wb") as out:
        process = subprocess.Popen([PROGRAM, str(configuration)], stdout=out, stderr=out)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as client:
            wait_until(lambda: _answers(client, process, log), _START_SECONDS, "Orthanc answers")
            yield client
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(folder / "db", ignore_errors=True)


def _answers(client, process, log):
    assert process.poll() is None, f"Orthanc ended: {log.read_text(errors='replace')[-2000:]}"
    try:
        return client.get("/system").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
