"""The client at a real gateway: what docs/client.md says, and a newcomer's first three lines."""

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import nibabel
import numpy as np
import pytest

import dgis.client as grid
from tests.conformance.test_client_dcm2niix import differences, theirs
from tests.corpus import corpus_files, require_corpus
from tests.dcmtk import dcmsend, require_dcmtk
from tests.gateway import PROJECT, Gateway
from tests.needs import require
from tests.tools.markdown import python_blocks, shell_blocks

pytestmark = [
    pytest.mark.dcmtk,
    pytest.mark.corpus,
    pytest.mark.timeout(900),
    pytest.mark.xdist_group("client"),
]

DOCUMENT = PROJECT / "docs" / "client.md"
ADDRESS = "http://127.0.0.1:8042"  # as the document has it
ACCOUNT = ("researcher", "another long passcode")
SERIES = "sts002_ct_cropped_ge"
MR = "mr_acr_ge_t1"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    """One series of CT and one of MR published, and a researcher's account."""
    require_dcmtk()
    require_corpus()
    with Gateway() as gateway:
        files = [*corpus_files(f"series/{SERIES}"), *corpus_files(f"series/{MR}")]
        assert dcmsend(gateway.address, files, "HOSPITAL_1").returncode == 0
        gateway.wait_published()
        gateway.cli("account", "add", ACCOUNT[0], "--institution", "Elsewhere", typed=ACCOUNT[1] + "\n")
        yield gateway


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """What dcm2niix makes of the originals of the CT series."""
    require("dcm2niix", "dcm2niix")
    (image,) = theirs(tmp_path_factory.mktemp("dcm2niix"), corpus_files(f"series/{SERIES}"))
    return image


@pytest.fixture
def connected(gateway):
    with grid.connect(gateway.web, account=ACCOUNT) as connected:
        yield connected


def test_deidentified_volumes_are_those_of_dcm2niix_from_the_originals(connected, reference, tmp_path):
    volume = connected.series(Modality="CT").volume()
    volume.save(tmp_path / "ct.nii")
    assert differences(reference, nibabel.load(tmp_path / "ct.nii")) == []
    assert volume.units == "HU"


def test_a_download_is_resumed_and_checked(connected, tmp_path):
    selection = connected.series(Modality="MR")
    done = selection.download(tmp_path)
    assert (done.fetched, done.there) == (11, 0)
    first = min(tmp_path.rglob("*.dcm"))
    whole = first.read_bytes()
    first.write_bytes(whole[:-1])
    again = selection.download(tmp_path)
    assert (again.fetched, again.there) == (1, 10)
    assert first.read_bytes() == whole


def test_who_one_is_and_who_one_is_not(gateway, connected):
    assert connected.whoami()["may"] == ["find", "retrieve"]
    with grid.connect(gateway.web, account=("nobody", "x")) as stranger, pytest.raises(grid.LoginError):
        len(stranger.series())


def test_what_the_gateway_cannot_match_by_is_an_error(connected):
    with pytest.raises(grid.BadQueryError, match="PixelSpacing"):
        len(connected.series(PixelSpacing="1"))
    with pytest.raises(grid.BadQueryError):
        len(connected.series(NoSuchKeyword="1"))


def test_originals_are_not_found(connected):
    original = "1.3.6.1.4.1.14519.5.2.1.5168.1900"
    assert len(connected.series(Modality=["CT", "MR"])) == 2
    assert not [row for row in connected.series() if str(row["SeriesInstanceUID"]).startswith(original[:20])]


def newcomer_environment(gateway):
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "LANG") if name in os.environ}
    return kept | {
        "DGIS_CLIENT_URL": gateway.web,
        "DGIS_CLIENT_ACCOUNT": ACCOUNT[0],
        "DGIS_CLIENT_PASSCODE": ACCOUNT[1],
    }


def run(command, **options):
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
        **options,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """A new virtual environment with the wheel of this project installed by pip.

    The locked libraries are not installed anew, which takes minutes: a .pth shows those of this environment.
    """
    folder = tmp_path_factory.mktemp("newcomer")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    built = [
        *pip,
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "-w",
        folder,
        PROJECT,
    ]
    run(built)
    (wheel,) = folder.glob("dgis-*.whl")
    run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"])
    python = folder / "venv" / "bin" / "python"
    site = Path(run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]).strip())
    shown = [path for path in sys.path if path.endswith("site-packages")]
    (site / "locked.pth").write_text("\n".join(shown) + "\n")
    run(
        [
            *pip,
            "--python",
            python,
            "install",
            "--quiet",
            "--no-deps",
            "--no-index",
            "--ignore-installed",
            wheel,
        ]
    )
    return python, wheel, site


def test_the_wheel_asks_for_what_the_client_needs(fresh):
    _python, wheel, _site = fresh
    with zipfile.ZipFile(wheel) as file:
        (name,) = (name for name in file.namelist() if name.endswith(".dist-info/METADATA"))
        wanted = re.findall(r"Requires-Dist: ([a-z]+).*extra == ['\"]client['\"]", file.read(name).decode())
    assert {"nibabel", "pandas", "pyarrow", "zarr"} <= set(wanted)


def test_a_newcomers_three_lines(gateway, fresh, reference, tmp_path):
    python, _wheel, site = fresh
    lines = [
        "import dgis.client as grid",
        "volume = grid.connect().series(Modality='CT').volume()",
        "volume.save('ct.nii')",
        "assert grid.__file__.startswith(" + repr(str(site)) + "), grid.__file__",
        "print(volume.array.shape, [round(each, 3) for each in volume.spacing])",
    ]
    said = run([python, "-c", "\n".join(lines)], cwd=tmp_path, env=newcomer_environment(gateway))
    image = nibabel.load(tmp_path / "ct.nii")
    assert differences(reference, image) == []
    assert said == "(48, 143, 161) [3.27, 0.977, 0.977]\n"
    assert np.allclose(json.loads((tmp_path / "ct.json").read_text())["affine_ras"], image.affine, atol=1e-5)


@pytest.fixture
def folder(gateway, tmp_path):
    (tmp_path / ".venv").symlink_to(Path(sys.prefix))
    return tmp_path


def test_the_documents_python_runs(gateway, folder):
    script = "\n".join(python_blocks(DOCUMENT)).replace(ADDRESS, gateway.web)
    said = run([sys.executable, "-c", script], cwd=folder)
    assert "(48, 143, 161)" in said
    assert "48 fetched, 0 there already" in said
    assert "as it was" in said
    assert {"head.nii.gz", "head.json", "images", "cohort.json"} <= {path.name for path in folder.iterdir()}


def test_the_documents_shell_lines_run(gateway, folder):
    script = "\n".join(shell_blocks(DOCUMENT)).replace(ADDRESS, gateway.web)
    said = run(["bash", "-e", "-c", script], cwd=folder)
    assert "48 files in fetched" in said
    assert "1 volumes in volumes" in said
    assert "as it was" in said
    assert len(list((folder / "volumes").rglob("*.nii.gz"))) == 1
    assert len(list((folder / "cohort").rglob("*.npy"))) == 1
