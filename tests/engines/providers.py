"""Identity providers that nobody here wrote, as programs on loopback."""

import os
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.needs import lacking
from tests.unit.catalog.credentials import makers
from tests.unit.dgis.identity.makers import pem

HERE = Path(__file__).parent
SIMPLESAML = Path("/usr/share/simplesamlphp/www")
ACS = "https://grid.example/api/saml/acs"
_START_SECONDS = 60


def missing(what):
    """Skip the test, or fail it in CI."""
    lacking(f"no {what}: `make engines` installs it (Debian, root)")


def free_port():
    """A port that was free just now: an issuer's name holds its port, so it must be known beforehand."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running(command, url, log, environment=None):
    """Run a program until the block ends; enters when the URL answers."""
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, **(environment or {})})
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(url):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"{command[0]} did not start: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(_START_SECONDS)


def _answers(url):
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False


@contextmanager
def saml_provider(port, folder):
    """Debian's SimpleSAMLphp under PHP's own server, its entity ID `http://127.0.0.1:PORT/idp`.

    It signs with `idp.crt` in the folder; a browser would post its responses to ACS.
    """
    if not shutil.which("php") or not SIMPLESAML.is_dir():
        missing("simplesamlphp")
    (folder / "sessions").mkdir()
    signer = makers.Identity()
    (folder / "idp.crt").write_text(signer.pem)
    (folder / "idp.key").write_bytes(pem(signer.key))
    where = {
        "SIMPLESAMLPHP_CONFIG_DIR": str(HERE / "saml"),
        "IDP_PORT": str(port),
        "IDP_FOLDER": str(folder),
    }
    command = ["php", "-S", f"127.0.0.1:{port}", "-t", str(SIMPLESAML)]
    base = f"http://127.0.0.1:{port}"
    with running(command, f"{base}/saml2/idp/metadata.php", folder / "php.log", where):
        yield base


@contextmanager
def oidc_provider(port, keys, audience, log, door=""):
    """npm's oidc-provider with these keys (a file with a private JWKS), as `http://127.0.0.1:PORT`.

    `door` is the address of a gateway's web door, which is its client `door` then.
    """
    folder = HERE / "oidc"
    if not shutil.which("node") or not (folder / "node_modules" / "oidc-provider").is_dir():
        missing("oidc-provider (npm)")
    issuer = f"http://127.0.0.1:{port}"
    command = ["node", str(folder / "provider.mjs"), str(port), str(keys), audience, *filter(None, [door])]
    with running(command, f"{issuer}/.well-known/openid-configuration", log):
        yield issuer
