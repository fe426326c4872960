"""The README's lines, run as a newcomer runs them; only the ports are others, so that tests run side by side.

`DGIS_README_PORT` and `DGIS_README_WORKSTATION_PORT` name ports to use, the documented ones for example.
"""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.dcmtk import dataset_bytes, require_dcmtk
from tests.gateway import PROJECT, Gateway
from tests.tools.markdown import README, shell_blocks

pytestmark = [pytest.mark.dcmtk, pytest.mark.xdist_group("readme"), pytest.mark.timeout(600)]

PORT, WORKSTATION_PORT, WEB_PORT = "11112", "11113", "8042"  # as the README has them
AS_BY_DEFAULT = {  # and not as quick as other tests want it
    "DGIS__PUBLISH__STABLE_AGE_SECONDS": "60",
    "DGIS__PUBLISH__AFTER_RELEASE_SECONDS": "5",
    "DGIS__PUBLISH__INTERVAL_SECONDS": "1",
}
IDENTITY = (b"Phantomov", b"DEMO-7301946", b"ACC7301946A", b"19310417", b"20190823")
SHELL_SECONDS = 400


def free_port() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return str(listener.getsockname()[1])


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory):
    """A folder as after `make run`, and what each block of the README printed there."""
    require_dcmtk()
    folder = tmp_path_factory.mktemp("clone")
    workstation = os.environ.get("DGIS_README_WORKSTATION_PORT") or free_port()
    settings = {**AS_BY_DEFAULT, "DGIS__DICOM__PORT": os.environ.get("DGIS_README_PORT", "0")}
    with Gateway(settings, destinations={"HOSPITAL_WS": int(workstation)}) as gateway:
        (folder / ".venv").symlink_to(Path(sys.prefix))
        (folder / "var").symlink_to(gateway.home)
        web_port = gateway.web.rpartition(":")[2]
        ports = {PORT: str(gateway.address[1]), WORKSTATION_PORT: workstation, WEB_PORT: web_port}
        yield folder, _run(folder, ports)


def _run(folder: Path, ports: dict[str, str]) -> list[str]:
    """Run all blocks in one shell, as one who types them would; returns what each printed."""
    mark = "-- next block --"
    blocks = [re.sub("|".join(ports), lambda found: ports[found[0]], block) for block in shell_blocks(README)]
    script = f"\necho '{mark}'\n".join(blocks)
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
    done = subprocess.run(
        ["bash", "-e", "-c", script],
        cwd=folder,
        # `dgis doctor` looks at the ports
        env={**kept, "DGIS__DICOM__PORT": ports[PORT], "DGIS__WEB__PORT": ports[WEB_PORT]},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=SHELL_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout.split(mark)


def _datasets(folder: Path) -> set[bytes]:
    return {dataset_bytes(path) for path in folder.iterdir()}


def test_the_gateway_is_started_as_make_run_starts_it():
    assert "$(BIN)/dgis serve --home ./var" in (PROJECT / "Makefile").read_text()


def test_every_make_target_that_is_named_has_a_recipe():
    makefile = (PROJECT / "Makefile").read_text()
    named = set(re.findall(r"`?make ([a-z]+)", README.read_text()))
    assert {"run", "demo"} <= named
    assert not [name for name in named if not re.search(rf"^{name}:.*\n\t", makefile, re.MULTILINE)]


def test_both_callers_find_what_the_readme_says(newcomer):
    (found,) = (text for text in newcomer[1] if "DEMO-8820517" in text and "StudyDate" in text)
    assert found.count("Find Response") == 6
    assert found.count("DEMO-") == 3
    assert "20200214" in found


def test_the_hospital_gets_the_bytes_that_were_sent(newcomer):
    var = newcomer[0] / "var"
    assert _datasets(var / "hospital") == _datasets(var / "phantoms" / "ct")
    assert _datasets(var / "workstation") == _datasets(var / "phantoms" / "mr")


def test_the_researcher_gets_as_many_images_and_no_identity(newcomer):
    var = newcomer[0] / "var"
    got = [path.read_bytes() for path in (var / "research").iterdir()]
    assert len(got) == len(list((var / "phantoms" / "ct").iterdir()))
    assert not [word for word in IDENTITY for each in got if word in each]


def test_the_web_door_knows_the_account(newcomer):
    (said,) = (text for text in newcomer[1] if '"assertions"' in text)
    assert '"institution":["Demo Hospital"]' in said


def test_three_lines_of_python_give_a_volume(newcomer):
    (said,) = (text for text in newcomer[1] if " HU" in text)
    images = len(list((newcomer[0] / "var" / "phantoms" / "ct").iterdir()))
    assert re.search(rf"\({images}, \d+, \d+\) \(\d+\.\d+, \d+\.\d+, \d+\.\d+\) HU", said)


def test_nothing_the_gateway_looked_at_was_in_trouble(newcomer):
    assert not [text for text in newcomer[1] if re.search("trouble", text, re.IGNORECASE)]
