"""Other people's files in every transfer syntax we offer, as pydicom and dcmtk read them."""

import subprocess

import numpy as np
import pytest
from pydicom import dcmread

from dgis.transcode.syntaxes import CODECS, EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN, Codec
from dgis.transcode.transcoder import GatewayTranscoder
from tests.corpus import corpus_files
from tests.needs import needs
from tests.tools.transcoding import differences, lying, part10, read

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.filterwarnings("ignore::UserWarning"),  # what pydicom thinks of the files as they are
]

_ODD = corpus_files("odd")
_SERIES = list({path.parent: path for path in corpus_files("series")}.values())
_RLE = "1.2.840.10008.1.2.5"
_CHANGED = {"(0028,0004)", "(0028,0006)", "(7FE0,0001)", "(7FE0,0002)", "(7FE0,0003)", "(7FE0,0010)"}
_LOSSLESS = {
    "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99", _RLE,
    "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90",
}  # fmt: skip


@pytest.fixture(scope="module")
def transcoder():
    made = GatewayTranscoder(decoders=1)
    yield made
    made.close()


def _reference(path):
    """The file to compare with: pydicom swaps UN in big endian, which its sender did not (PS3.5 6.2.2)."""
    twin = path.with_name("CTImage.dcm_LittleEndianExplicitTransferSyntax_1.2.840.10008.1.2.1.dcm")
    return twin if path.name.startswith("CTImage.dcm_BigEndian") else path


def _name(path):
    return "/".join(path.parts[-2:])


@pytest.mark.parametrize("path", [*_ODD, *_SERIES], ids=_name)
def test_every_element_but_the_pixels_stays(corpus, transcoder, path):
    instance = lying(path)
    if instance is None:
        pytest.skip("a file without meta information was never sent")
    for target in transcoder.targets(instance.sop_class_uid, instance.transfer_syntax):
        converted = b"".join(transcoder.convert(instance, target))
        before, after = dcmread(_reference(path)), read(converted, target)
        changed = _CHANGED if instance.transfer_syntax in CODECS else set()
        found = differences(before, after, implicit=target == IMPLICIT_LITTLE_ENDIAN)
        assert [each for each in found if each[1:12] not in changed] == []
        assert "SOPInstanceUID" not in before or before.SOPInstanceUID == after.SOPInstanceUID


@pytest.mark.parametrize("path", [*_ODD, *_SERIES], ids=_name)
def test_pixels_are_what_pydicom_sees_in_the_source(corpus, transcoder, path):
    instance = lying(path)
    compressed = instance is not None and instance.transfer_syntax in CODECS
    if instance is None or (compressed and instance.transfer_syntax != _RLE):
        pytest.skip("nothing here that pydicom decodes by itself")
    before = dcmread(path)
    if "PixelData" not in before or "BitsAllocated" not in before:
        pytest.skip("no image")
    for target in transcoder.targets(instance.sop_class_uid, instance.transfer_syntax):
        after = read(b"".join(transcoder.convert(instance, target)), target)
        np.testing.assert_array_equal(before.pixel_array, after.pixel_array)


def test_one_image_in_many_encodings_is_one_image(corpus, transcoder):
    folder = corpus / "odd" / "transfer_syntaxes_ct_set"
    expected = dcmread(folder / "CTImage.dcm").pixel_array
    seen = set()
    for path in sorted(folder.iterdir()):
        instance = lying(path)
        for target in transcoder.targets(instance.sop_class_uid, instance.transfer_syntax):
            after = read(b"".join(transcoder.convert(instance, target)), target)
            if instance.transfer_syntax in _LOSSLESS:
                np.testing.assert_array_equal(after.pixel_array, expected)
                seen.add(instance.transfer_syntax)
            elif after.PixelRepresentation and not _is_jpeg(instance):
                assert np.abs(after.pixel_array.astype(int) - expected).max() <= 8
    assert seen == _LOSSLESS


@pytest.mark.parametrize(
    ("compressed", "native"),
    [
        ("MR_small_jp2klossless.dcm", "MR_small.dcm"),
        ("MR_small_jpeg_ls_lossless.dcm", "MR_small.dcm"),
        ("MR_small_RLE.dcm", "MR_small.dcm"),
    ],
)
def test_lossless_forms_equal_their_native_sibling(corpus, transcoder, compressed, native):
    folder = corpus / "odd" / "transfer_syntaxes"
    after = _explicit(transcoder, folder / compressed)
    np.testing.assert_array_equal(after.pixel_array, dcmread(folder / native).pixel_array)


def test_a_lossless_multi_frame_equals_its_rle_sibling(corpus, transcoder):
    folder = corpus / "odd" / "enhanced_multiframe"
    one = _explicit(transcoder, folder / "emri_small_RLE.dcm")
    other = _explicit(transcoder, folder / "emri_small_jpeg_2k_lossless.dcm")
    assert one.NumberOfFrames == 10
    np.testing.assert_array_equal(one.pixel_array, other.pixel_array)


def test_colour_is_what_the_header_says_afterwards(corpus, transcoder):
    folder = corpus / "odd" / "transfer_syntaxes"
    native = dcmread(folder / "SC_rgb_small_odd.dcm").pixel_array.astype(int)
    coded = _explicit(transcoder, folder / "SC_rgb_small_odd_jpeg.dcm")
    assert coded.PhotometricInterpretation == "YBR_FULL"  # as it was: no colour was converted
    subsampled = _explicit(transcoder, corpus / "odd" / "us" / "examples_ybr_color.dcm")
    assert subsampled.PhotometricInterpretation == "RGB"
    assert subsampled.pixel_array.shape == (30, 240, 320, 3)
    transformed = _explicit(transcoder, corpus / "odd" / "nm_xa_sc" / "VL1_J2KI")
    assert transformed.PhotometricInterpretation == "RGB"
    assert transformed.PlanarConfiguration == 0
    assert native.shape == coded.pixel_array.shape


def test_an_unsigned_codestream_of_signed_pixels_gets_its_sign_back(corpus, transcoder):
    after = _explicit(transcoder, corpus / "odd" / "transfer_syntaxes" / "J2K_pixelrep_mismatch.dcm")
    assert after.pixel_array.min() == -2000  # the padding value of this scanner


@pytest.mark.dcmtk
@needs("dcmdump", "dcmtk")
def test_dcmtk_reads_what_was_converted(corpus, transcoder, tmp_path):
    for path in _ODD:
        instance = lying(path)
        for target in () if instance is None else transcoder.targets("", instance.transfer_syntax):
            file = tmp_path / "converted.dcm"
            file.write_bytes(part10(b"".join(transcoder.convert(instance, target)), target))
            done = subprocess.run(["dcmdump", "-q", file], capture_output=True, check=False, timeout=60)
            assert done.returncode == 0, (path.name, target, done.stderr)


def _dcmtk_decoder(path):
    """The program of dcmtk that decodes a file, and None where it has none."""
    instance = lying(path)
    codec = None if instance is None else CODECS.get(instance.transfer_syntax)
    return {Codec.RLE: "dcmdrle", Codec.JPEG: "dcmdjpeg", Codec.JPEG_LS: "dcmdjpls"}.get(codec)


@pytest.mark.dcmtk
@needs("dcmdjpeg", "dcmtk")
@pytest.mark.parametrize("path", list(filter(_dcmtk_decoder, _ODD)), ids=_name)
def test_dcmtk_decodes_the_same_pixels(corpus, transcoder, tmp_path, path):
    decoded = tmp_path / "decoded.dcm"
    subprocess.run([_dcmtk_decoder(path), path, decoded], check=True, timeout=60)
    expected = dcmread(decoded).pixel_array.astype(int)
    ours = _explicit(transcoder, path).pixel_array.astype(int)
    assert ours.shape == expected.shape
    assert np.abs(ours - expected).max() <= 1  # the last bit of a cosine or a colour


def _explicit(transcoder, path):
    converted = b"".join(transcoder.convert(lying(path), EXPLICIT_LITTLE_ENDIAN))
    assert list(transcoder.targets("", lying(path).transfer_syntax)) == [
        EXPLICIT_LITTLE_ENDIAN,
        IMPLICIT_LITTLE_ENDIAN,
    ]
    return read(converted, EXPLICIT_LITTLE_ENDIAN)


def _is_jpeg(instance):
    return int(instance.transfer_syntax.rpartition(".")[2]) < 60
