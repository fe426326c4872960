"""Real files against pydicom's reading of them and the formulas of the standard."""

import numpy as np
import pytest
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi, convert_color_space, pixel_array

from dgis.rendering.errors import NoPictureError
from dgis.rendering.view import Function
from dgis.transcode.errors import TranscodeError
from tests.corpus import corpus_root, require_corpus
from tests.tools.transcoding import Lying, lying, read
from tests.unit.dgis.rendering.frames import shown
from tests.unit.dgis.rendering.test_grey import one_by_one
from tests.unit.dgis.transcode.images import EXPLICIT

pytestmark = [pytest.mark.corpus, pytest.mark.filterwarnings("ignore::UserWarning")]

# pydicom 3.0 reads these otherwise, and wrongly or not at all; what is shown was looked at by eye.
_ELSEWHERE = {
    "liver_nonbyte_aligned.dcm": "pydicom does not take frames of bits apart that begin within a byte",
}


def _files():
    root = corpus_root()
    if root is None:
        return []
    odd = [
        path for path in sorted((root / "odd").rglob("*")) if path.is_file() and "DICOMDIR" not in path.name
    ]
    series = [
        sorted(folder.iterdir())[3 % len(list(folder.iterdir()))]
        for folder in sorted((root / "series").iterdir())
    ]
    return [*odd, *series]


def expected(dataset, frame):
    """The picture by the book, from native pixels; None where it is not said how."""
    pixels = pixel_array(dataset, index=frame - 1, raw=True)
    photometric = dataset.PhotometricInterpretation
    if photometric == "PALETTE COLOR":
        coloured = apply_color_lut(pixels, dataset)
        return coloured >> 8 if coloured.dtype == np.uint16 else coloured
    if dataset.SamplesPerPixel == 3:
        if photometric.startswith("YBR"):
            pixels = convert_color_space(pixels, photometric, "RGB")
        return pixels >> (dataset.BitsStored - 8)
    said = said_of(dataset, frame)
    if "ModalityLUTSequence" in dataset:
        values = apply_modality_lut(pixels, dataset).astype(float)
    else:
        values = pixels * float(said.get("RescaleSlope", 1)) + float(said.get("RescaleIntercept", 0))
    lit = np.clip(of_interest(dataset, said, pixels, values), 0, 255)
    return 255 - lit if photometric == "MONOCHROME1" else lit


def said_of(dataset, frame):
    """Attributes of showing, those of functional groups last."""
    groups = [dataset]
    for name in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        if found := dataset.get(name):
            one = found[frame - 1 if name.startswith("PerFrame") else 0]
            for keyword in ("PixelValueTransformationSequence", "FrameVOILUTSequence"):
                groups += one.get(keyword) or []
    keywords = ("RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth", "VOILUTFunction")
    pairs = [(keyword, group.get(keyword)) for group in groups for keyword in keywords]
    return {keyword: value for keyword, value in pairs if value is not None and value != ""}


def of_interest(dataset, said, pixels, values):
    """Levels from 0 to 255, by the window, else as they are, else from the lowest to the highest."""
    if "WindowCenter" in said:
        center, width = (float(np.atleast_1d(said[name])[0]) for name in ("WindowCenter", "WindowWidth"))
        function = Function(said.get("VOILUTFunction", "LINEAR"))
        levels, places = np.unique(values, return_inverse=True)
        lit = np.array([one_by_one(x, center, width, function) for x in levels])
        return lit[places].reshape(values.shape)
    if "VOILUTSequence" in dataset:
        table = apply_voi(values.astype(int), dataset).astype(float)
        return table * 255 / ((1 << int(dataset.VOILUTSequence[0].LUTDescriptor[2])) - 1)
    if dataset.BitsAllocated <= 8 and "RescaleSlope" not in said and not dataset.get("PixelRepresentation"):
        return values * 255 / ((1 << dataset.BitsStored) - 1)
    image = values
    if "PixelPaddingValue" in dataset:
        image = values[pixels != dataset.PixelPaddingValue]
    return (values - image.min()) * 255 / max(image.max() - image.min(), 1e-9)


@pytest.mark.parametrize("path", _files() or [None], ids=lambda path: path.name if path else "none")
def test_a_real_frame_is_shown_by_the_book(renderer, transcoder, path):
    require_corpus()
    instance = lying(path)
    if instance is None:
        pytest.skip("it has no meta information, so that nothing says how it is written")
    data = instance.data
    if instance.transfer_syntax != EXPLICIT:
        try:
            data = b"".join(transcoder.convert(instance, EXPLICIT))
        except TranscodeError:
            with pytest.raises(TranscodeError):
                shown(renderer, instance)
            return
    dataset = read(data, EXPLICIT)
    if not {"PixelData", "FloatPixelData", "DoubleFloatPixelData"} & {each.keyword for each in dataset}:
        with pytest.raises(NoPictureError):
            shown(renderer, instance)
        return
    if path.name in _ELSEWHERE or "Rows" not in dataset:
        assert path.name in _ELSEWHERE or "PixelData" in dataset
        return
    dataset.file_meta.TransferSyntaxUID = EXPLICIT
    frame = int(dataset.get("NumberOfFrames") or 1)
    picture = shown(renderer, Lying(instance.transfer_syntax, instance.data), frame=frame)
    by_the_book = expected(dataset, frame)
    if by_the_book is None or picture.shape[:2] != by_the_book.shape[:2]:
        assert picture.size
        return
    assert np.abs(picture.astype(float) - by_the_book.astype(float)).max() <= 1.0 + 1e-6
