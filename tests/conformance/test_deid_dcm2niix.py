"""dcm2niix finds the same diffusion directions, slice times and scaling in what safe-private keeps."""

import json
import struct
import subprocess

import pytest

from deid.elements import Encoding, elements
from tests.corpus import corpus_files
from tests.needs import needs
from tests.tools.part10 import opened, whole
from tests.unit.deid.engine.build import deidentifier, el
from tests.unit.deid.engine.csa import csa_header, read_csa

pytestmark = [pytest.mark.corpus, needs("dcm2niix", "dcm2niix")]

# What a reader makes of pictures and of numbers; not names, places, dates, and what stands in protocols.
_NUMBERS = {
    *("MagneticFieldStrength", "SliceThickness", "SpacingBetweenSlices", "EchoTime", "RepetitionTime"),
    *("FlipAngle", "PhaseEncodingSteps", "PixelBandwidth", "ReconMatrixPE", "ImageOrientationPatientDICOM"),
    *("BandwidthPerPixelPhaseEncode", "EffectiveEchoSpacing", "TotalReadoutTime", "DwellTime"),
    *("PhaseEncodingDirection", "PhaseEncodingAxis", "SliceTiming", "PhilipsRescaleSlope"),
    *("PhilipsRescaleIntercept", "PhilipsScaleSlope", "UsePhilipsFloatNotDisplayScaling", "WaterFatShift"),
}
# GE writes these in a compressed protocol (0025,101B) among free text, which goes whole.
_OF_PROTOCOL = {"PhaseEncodingDirection", "PhaseEncodingAxis", "SliceTiming"}


def converted(folder):
    """What dcm2niix makes of a folder: the numbers of its description, directions, and the pixels."""
    target = folder.with_name(folder.name + "-nii")
    target.mkdir()
    command = ["dcm2niix", "-b", "y", "-ba", "y", "-z", "n", "-f", "out", "-o", target, folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    (description,) = target.glob("*.json")
    found = {key: value for key, value in json.loads(description.read_text()).items() if key in _NUMBERS}
    for kind in ("bval", "bvec"):
        for path in target.glob(f"*.{kind}"):
            found[kind] = path.read_text().split()
    (image,) = target.glob("*.nii")
    raw = image.read_bytes()
    # NIfTI-1: dimensions, spacing with slope and intercept, orientation; texts and times are not compared.
    geometry = struct.unpack_from("<8h", raw, 40), raw[76:120], raw[252:328]
    return found, geometry, raw[352:]


def both(tmp_path, instances):
    """Files of instances as they are, and de-identified, in folders of the same file names."""
    engine = deidentifier("modified-dates", "safe-private")
    before, after = tmp_path / "before", tmp_path / "after"
    for folder in (before, after):
        folder.mkdir()
    for number, (data, syntax, head) in enumerate(instances):
        form = engine.deidentify(data, syntax, "1.2.3")
        (before / f"{number:04}.dcm").write_bytes(head + data)
        (after / f"{number:04}.dcm").write_bytes(whole(data, form))
    return before, after


def of_series(name):
    for path in corpus_files(f"series/{name}"):
        data, syntax = opened(path)
        raw = path.read_bytes()
        yield data, syntax, raw[: len(raw) - len(data)]


@pytest.mark.usefixtures("corpus")
@pytest.mark.parametrize(
    "series", ["mr_epi_mosaic_siemens_3", "mr_epi_mosaic_siemens_6", "mr_brain_bold_philips"]
)
def test_series_convert_alike(tmp_path, series):
    before, after = map(converted, both(tmp_path, of_series(series)))
    assert before == after


@pytest.mark.usefixtures("corpus")
def test_a_ge_series_converts_alike_but_for_what_its_protocol_said(tmp_path):
    before, after = map(converted, both(tmp_path, of_series("mr_fmri_ge")))
    assert before[1:] == after[1:]
    left = {key: value for key, value in after[0].items() if key not in _OF_PROTOCOL}
    assert left == {key: value for key, value in before[0].items() if key not in _OF_PROTOCOL}
    assert "EffectiveEchoSpacing" in left


def diffusion_series():
    """A mosaic as a diffusion series, whose weights and directions stand in the CSA header alone."""
    (data, syntax, head), *_others = of_series("mr_epi_mosaic_siemens_3")
    found = {one.tag: one for one in elements(data, Encoding.EXPLICIT_LE)}
    csa = found[0x00291010]
    kept = {name: texts for name, texts in read_csa(data[csa.value : csa.end]).items() if texts}
    directions = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (0.6, 0.8, 0), (0, 0.6, -0.8), (-0.8, 0, 0.6)]
    for number, direction in enumerate(directions):
        weight = {"B_value": ["1000" if any(direction) else "0"]}
        if any(direction):
            weight["DiffusionGradientDirection"] = [f"{part:.8f}" for part in direction]
        new = {
            0x00080018: el(0x00080018, "UI", f"1.2.3.{number}"),
            0x00080032: el(0x00080032, "TM", f"1224{number:02}.000000"),
            0x00200012: el(0x00200012, "IS", str(number + 1)),
            0x00200013: el(0x00200013, "IS", str(number + 1)),
            0x00291010: el(0x00291010, "OB", csa_header({**kept, **weight}, residue=b"DOE^JANE")),
        }
        body = b"".join(new.get(tag, data[one.start : one.end]) for tag, one in found.items())
        yield body, syntax, head


@pytest.mark.usefixtures("corpus")
def test_directions_of_a_siemens_csa_header_are_found_again(tmp_path):
    before, after = map(converted, both(tmp_path, list(diffusion_series())))
    assert before[0]["bval"] == ["0", *["1000"] * 6]
    assert len(before[0]["bvec"]) == 21
    assert before == after
