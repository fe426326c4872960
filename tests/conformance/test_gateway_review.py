"""A name burned into ultrasound pixels: sealed, unseen by research, blanked by a reviewer, and never lost."""

import numpy as np
import pytest
from pydicom import dcmread

from storage_nodes.record.part10 import file_head
from tests import dcmtk
from tests.gateway import Gateway
from tests.tools import burned_in, wire
from tests.tools.fetching import HOSPITAL, RESEARCH

pytestmark = [pytest.mark.dcmtk, pytest.mark.xdist_group("gateway-review")]

X, Y, WIDTH, HEIGHT = burned_in.TEXT
RECTANGLE = f"{X},{Y},{WIDTH}x{HEIGHT}"


@pytest.fixture(autouse=True)
def _dcmtk():
    dcmtk.require_dcmtk()


def send(gateway, images, folder):
    folder.mkdir()
    paths = []
    for number, one in enumerate(images):
        path = folder / f"{number}.dcm"
        path.write_bytes(
            file_head(one.sop_class_uid, one.sop_instance_uid, one.transfer_syntax) + one.dataset
        )
        paths.append(path)
    dcmtk.storescu(gateway.address, paths, HOSPITAL, folder)
    gateway.wait_published()


def studies(gateway, calling, folder):
    asked = ("QueryRetrieveLevel=STUDY", "StudyInstanceUID")
    return [str(each.StudyInstanceUID) for each in dcmtk.find(gateway.address, calling, asked, folder)]


def fetch(gateway, calling, folder, *options):
    """Every file that a caller may have, each as it came over the wire."""
    files = []
    for number, study in enumerate(studies(gateway, calling, folder / "asked")):
        keys = ("QueryRetrieveLevel=STUDY", f"StudyInstanceUID={study}")
        files += dcmtk.get(gateway.address, calling, keys, folder / str(number), *options)
    return files


def cells(path):
    found = dcmread(path)
    shape = [int(found.get("NumberOfFrames") or 1), found.Rows, found.Columns]
    shape += [found.SamplesPerPixel] * (found.SamplesPerPixel > 1)
    return found, np.frombuffer(found.PixelData, np.uint8)[: np.prod(shape)].reshape(shape)


def without_name(pixels):
    wanted = pixels.copy()
    wanted[:, Y : Y + HEIGHT, X : X + WIDTH] = 0
    return wanted


def test_a_burned_in_name_reaches_research_only_blanked_and_the_hospital_as_it_was(tmp_path):
    clip = burned_in.instance(1, frames=4)
    colour = burned_in.instance(2, frames=2, samples=3)
    capture = burned_in.instance(3, sop_class=burned_in.SECONDARY_CAPTURE)
    images = (clip, colour, capture)
    with Gateway() as gateway:
        send(gateway, images, tmp_path / "sent")
        assert studies(gateway, RESEARCH, tmp_path / "before") == []
        waiting = gateway.json("review", "list")
        assert len(waiting) == 3

        series = waiting[0]["series"]
        gateway.cli("review", "blank", "--series", series, "--rectangle", RECTANGLE, "--by", "reviewer")
        gateway.wait_published()
        assert gateway.json("review", "list", "--all") == []
        gateway.cli("cache", "evict", "--all")
        gateway.take_away("a")

        received = [cells(path) for path in fetch(gateway, RESEARCH, tmp_path / "research")]
        wanted = {without_name(one.pixels).tobytes() for one in images}
        assert {pixels.tobytes() for _, pixels in received} == wanted
        for found, pixels in received:
            assert not any(burned_in.shows_name(frame) for frame in pixels)
            assert found.BurnedInAnnotation == "NO"
            assert "113101" in [code.CodeValue for code in found.DeidentificationMethodCodeSequence]
            assert "Doe" not in str(found.PatientName)

        originals = fetch(gateway, HOSPITAL, tmp_path / "hospital")
        sent = {one.sop_instance_uid: one.dataset for one in images}
        assert {str(dcmread(path).SOPInstanceUID): dcmtk.dataset_bytes(path) for path in originals} == sent
        for data in gateway.on_nodes():
            assert b"Doe" not in data
            assert b"MRN-7731" not in data
        assert "Doe" not in gateway.log()


def test_a_lossy_clip_is_decoded_for_blanking_and_given_back_as_it_came(tmp_path):
    clip = burned_in.instance(frames=3, samples=3, jpeg=True)
    with Gateway() as gateway:
        send(gateway, [clip], tmp_path / "sent")
        gateway.cli("cache", "evict", "--all")
        (item,) = gateway.json("review", "list")
        gateway.cli("review", "blank", item["instance"], "--rectangle", RECTANGLE, "--by", "reviewer")
        gateway.wait_published()
        (path,) = fetch(gateway, RESEARCH, tmp_path / "research")
        found, pixels = cells(path)
        assert found.LossyImageCompression == "01"
        assert found.file_meta.TransferSyntaxUID == wire.EXPLICIT
        assert not pixels[:, Y : Y + HEIGHT, X : X + WIDTH].any()
        assert np.abs(pixels[:, 40:].astype(int) - clip.pixels[:, 40:]).mean() < 40
        (original,) = fetch(gateway, HOSPITAL, tmp_path / "hospital", "+xy")
        assert dcmtk.dataset_bytes(original) == clip.dataset


def test_a_release_and_its_withdrawal(tmp_path):
    clip = burned_in.instance(frames=2)
    with Gateway() as gateway:
        send(gateway, [clip], tmp_path / "sent")
        (item,) = gateway.json("review", "list")
        gateway.cli("review", "release", item["instance"], "--by", "reviewer")
        gateway.wait_published()
        (path,) = fetch(gateway, RESEARCH, tmp_path / "research")
        found, pixels = cells(path)
        assert np.array_equal(pixels, clip.pixels)
        assert "113101" not in [code.CodeValue for code in found.DeidentificationMethodCodeSequence]

        gateway.cli("review", "withdraw", item["instance"], "--by", "another")
        assert studies(gateway, RESEARCH, tmp_path / "after") == []
        gateway.cli("cache", "evict", "--all")
        (original,) = fetch(gateway, HOSPITAL, tmp_path / "hospital")
        assert dcmtk.dataset_bytes(original) == clip.dataset
        assert [row["instance"] for row in gateway.json("review", "list")] == [item["instance"]]


def test_a_rule_of_the_site_blanks_what_its_device_writes(tmp_path):
    rules = tmp_path / "rules.tsv"
    rules.write_text(f"blank {RECTANGLE}\t*\tUS\t*\tYES\t*\tAcme*\t*\t*\t96x128\n")
    clip = burned_in.instance(frames=2)
    with Gateway({"DGIS__DEID__RULES_FILE": str(rules)}) as gateway:
        send(gateway, [clip], tmp_path / "sent")
        (path,) = fetch(gateway, RESEARCH, tmp_path / "research")
        found, pixels = cells(path)
        assert np.array_equal(pixels, without_name(clip.pixels))
        assert found.BurnedInAnnotation == "NO"
        assert "a rule of the site" in found.DeidentificationMethod[1]
        gateway.cli("cache", "evict", "--all")
        (original,) = fetch(gateway, HOSPITAL, tmp_path / "hospital")
        assert dcmtk.dataset_bytes(original) == clip.dataset


def test_a_gateway_with_a_wrong_rules_file_does_not_start(tmp_path):
    rules = tmp_path / "rules.tsv"
    rules.write_text("publish\t*\tUS\n")
    gateway = Gateway({"DGIS__DEID__RULES_FILE": str(rules)})
    try:
        with pytest.raises(AssertionError, match=r"line 1:\s+a pixel rule has six to ten fields"):
            gateway.start()
    finally:
        gateway.discard()
