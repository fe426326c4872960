"""The DICOM door and the dcmtk clients, as a hospital has them."""

import socket
import subprocess
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from catalog.matching import parse
from dgis.dimse.services import Destination
from dgis.dimse.uids import EXPLICIT_BE, EXPLICIT_LE, IMPLICIT_LE
from tests.corpus import corpus_files
from tests.dcmtk import require_dcmtk, run
from tests.gateway import wait_until
from tests.unit.dgis.dimse.fakes import CALLER, Archive, FakeMatch, Kept, serving

pytestmark = pytest.mark.dcmtk

JPEG_2000_LOSSLESS = "1.2.840.10008.1.2.4.90"


@pytest.fixture(autouse=True)
def _dcmtk():
    require_dcmtk()


@pytest.fixture
def archive():
    return Archive()


@pytest.fixture
def port(archive):
    with serving(archive) as number:
        yield number


NAMES = ("CT_small.dcm", "MR_small.dcm", "MR_small_bigendian.dcm", "JPEG2000.dcm")
CT, MR, BIG_ENDIAN, JPEG_2000 = (Path(get_testdata_file(name, download=False)) for name in NAMES)


def pixels(kept: Kept) -> bytes:
    """The Pixel Data of what was kept, read with a file meta that only names its transfer syntax."""
    return as_data_set(kept).PixelData


def as_data_set(kept: Kept) -> Dataset:
    uid = kept.transfer_syntax.encode() + b"\0" * (len(kept.transfer_syntax) % 2)
    meta = b"\2\0\x10\0UI" + len(uid).to_bytes(2, "little") + uid
    return dcmread(BytesIO(bytes(128) + b"DICM" + meta + kept.data), force=True)


@contextmanager
def storescp(folder: Path, *options: str):
    """Run dcmtk's storage provider; yields its port once it answers."""
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = ["storescp", "-aet", "WS", "-od", folder, *options, port]
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: _listens(port), 10, "storescp listens")
        yield port
    finally:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("options", [(), ("-pts", "3"), ("-ppc", "100"), ("-pdu", "4096"), ("--repeat", "5")])
def test_echoscu(port, options):
    run("echoscu", *options, "127.0.0.1", port)


def test_echoscu_that_aborts(port):
    run("echoscu", "--abort", "127.0.0.1", port)
    run("echoscu", "127.0.0.1", port)


def test_the_called_title_is_checked(archive, port):
    archive.called_ae = "DGIS"
    assert "Called AE Title" in run("echoscu", "127.0.0.1", port, check=False).stderr
    run("echoscu", "-aec", "DGIS", "127.0.0.1", port)


@pytest.mark.parametrize(
    ("options", "syntax"),
    [
        ((), EXPLICIT_LE),
        (("-xe",), EXPLICIT_LE),
        (("-xi",), IMPLICIT_LE),
        (("-pdu", "4096"), EXPLICIT_LE),
        (("--max-send-pdu", "16384"), EXPLICIT_LE),
        (("-R",), EXPLICIT_LE),
    ],
)
def test_storescu_in_the_syntax_it_prefers(archive, port, options, syntax):
    run("storescu", *options, "127.0.0.1", port, CT, MR)
    assert [kept.transfer_syntax for kept in archive.instances.values()] == [syntax] * 2
    for path, kept in zip((CT, MR), archive.instances.values(), strict=True):
        sent = dcmread(path)
        assert kept.sop_instance_uid == sent.SOPInstanceUID
        assert (kept.study_uid, kept.series_uid) == (sent.StudyInstanceUID, sent.SeriesInstanceUID)
        assert pixels(kept) == sent.PixelData


def test_storescu_in_big_endian(archive, port):
    run("storescu", "-xb", "127.0.0.1", port, BIG_ENDIAN)
    (kept,) = archive.instances.values()
    assert kept.transfer_syntax == EXPLICIT_BE
    assert pixels(kept) == dcmread(BIG_ENDIAN).PixelData


def test_storescu_with_compressed_pixels(archive, port):
    run("storescu", "-xw", "127.0.0.1", port, JPEG_2000)
    (kept,) = archive.instances.values()
    assert kept.transfer_syntax == dcmread(JPEG_2000).file_meta.TransferSyntaxUID
    assert pixels(kept) == dcmread(JPEG_2000).PixelData


def test_storescu_that_sends_twice_or_aborts(archive, port):
    run("storescu", "--repeat", "3", "127.0.0.1", port, CT)
    run("storescu", "--abort", "127.0.0.1", port, MR)
    assert len(archive.instances) == 2


@pytest.mark.parametrize(
    ("options", "kind"),
    [(("--user", "name"), 1), (("--user", "name", "--password", "secret"), 2)],
)
def test_storescu_says_who_sends(archive, port, options, kind):
    run("storescu", *options, "--pos-response", "127.0.0.1", port, CT)
    assert archive.attempts[0].identity.kind == kind


@pytest.mark.parametrize(("option", "kind"), [("--kerberos", 3), ("--saml", 4), ("--jwt", 5)])
def test_storescu_brings_tokens(archive, port, option, kind, tmp_path):
    token = tmp_path / "token"
    token.write_bytes(b"t" * 60_000)
    run("storescu", option, token, "127.0.0.1", port, CT)
    identity = archive.attempts[0].identity
    assert (identity.kind, len(identity.primary)) == (kind, 60_000)


@pytest.mark.corpus
def test_dcmsend_with_every_storable_file(archive, port, corpus, tmp_path):
    files = corpus_files("odd", "malformed")
    report = tmp_path / "report.txt"
    run("dcmsend", "-nh", "-nuc", "-dn", "+crf", report, "127.0.0.1", port, *files, check=False)
    statuses = [line for line in report.read_text(errors="replace").splitlines() if "DIMSE Status" in line]
    assert sum("0x0000" in line for line in statuses) >= len(archive.instances) > 80
    assert not any("0x0110" in line for line in statuses)
    run("echoscu", "127.0.0.1", port)


def matches(query):
    parse(query)
    for number in range(100):
        yield FakeMatch({"PatientName": f"Doe^{number}", "StudyInstanceUID": f"1.2.{number}"})


@pytest.mark.parametrize("root", ["-S", "-P"])
@pytest.mark.parametrize("options", [(), ("-xi",), ("-xb",), ("-pdu", "4096")])
def test_findscu(archive, port, tmp_path, root, options):
    archive.matches = matches
    keys = [
        "-k",
        "QueryRetrieveLevel=STUDY",
        "-k",
        "PatientName=D*",
        "-k",
        "StudyInstanceUID",
        "-k",
        "PatientID=1",
    ]
    run("findscu", root, *options, "-X", "-od", tmp_path, "127.0.0.1", port, *keys)
    found = [dcmread(path) for path in sorted(tmp_path.glob("rsp*.dcm"))]
    assert [match.StudyInstanceUID for match in found] == [f"1.2.{number}" for number in range(100)]
    assert {match.RetrieveAETitle for match in found} == {"ANY-SCP"}


def test_findscu_cancels(archive, port):
    archive.matches = matches
    keys = ["-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID"]
    run("findscu", "-S", "--cancel", "2", "127.0.0.1", port, *keys)


@pytest.fixture
def stored(archive, port):
    """CT and MR in the archive, as one study."""
    run("storescu", "127.0.0.1", port, CT, MR)
    archive.outgoing = list(archive.instances.values())
    return archive.outgoing


STUDY_KEYS = ["-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=1.2.3"]


def data_sets(folder: Path) -> dict[str, bytes]:
    return {str((read := dcmread(path)).SOPInstanceUID): read.PixelData for path in folder.iterdir()}


@pytest.mark.parametrize("options", [(), ("-pdu", "4096"), ("+B",)])
def test_getscu(archive, port, stored, tmp_path, options):
    run("getscu", "-S", *options, "-od", tmp_path, "127.0.0.1", port, *STUDY_KEYS)
    assert data_sets(tmp_path) == {kept.sop_instance_uid: pixels(kept) for kept in stored}


@pytest.mark.parametrize("options", [(), ("+xi",), ("-pdu", "4096")])
def test_movescu_to_storescp(archive, port, stored, tmp_path, options):
    with storescp(tmp_path / "in", *options) as there:
        archive.destinations["WS"] = Destination("WS", "127.0.0.1", there, CALLER)
        done = run("movescu", "-v", "-S", "-aem", "WS", "127.0.0.1", port, *STUDY_KEYS, check=False)
        if "+xi" in options:  # a receiver without the stored syntax, and nothing to convert with
            assert "OutOfResourcesSubOperations" in done.stdout + done.stderr
            return
        assert done.returncode == 0
        assert data_sets(tmp_path / "in") == {kept.sop_instance_uid: pixels(kept) for kept in stored}


def test_movescu_that_receives_itself(archive, port, stored, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        own = free.getsockname()[1]
    archive.destinations["SELF"] = Destination("SELF", "127.0.0.1", own, CALLER)
    run(
        "movescu",
        "-S",
        "-aet",
        "SELF",
        "-aem",
        "SELF",
        "+P",
        own,
        "-od",
        tmp_path,
        "127.0.0.1",
        port,
        *STUDY_KEYS,
    )
    assert len(list(tmp_path.iterdir())) == 2


def test_movescu_to_nobody(port, stored):
    done = run("movescu", "-v", "-S", "-aem", "NOBODY", "127.0.0.1", port, *STUDY_KEYS, check=False)
    assert "MoveDestinationUnknown" in done.stdout + done.stderr
