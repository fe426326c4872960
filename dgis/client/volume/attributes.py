"""An attribute of one frame: in its functional groups, the shared ones, or the data set around them."""

from collections.abc import Iterator
from typing import Any

from pydicom import Dataset

# Where enhanced objects keep what older ones have at their root (PS3.3 C.7.6.16.2 and the modules it names).
_MACROS = {
    "PixelSpacing": ("PixelMeasuresSequence",),
    "SliceThickness": ("PixelMeasuresSequence",),
    "SpacingBetweenSlices": ("PixelMeasuresSequence",),
    "ImageOrientationPatient": ("PlaneOrientationSequence",),
    "ImagePositionPatient": ("PlanePositionSequence",),
    "RescaleSlope": ("PixelValueTransformationSequence",),
    "RescaleIntercept": ("PixelValueTransformationSequence",),
    "RescaleType": ("PixelValueTransformationSequence",),
    "FrameType": (
        "MRImageFrameTypeSequence",
        "CTImageFrameTypeSequence",
        "PETFrameTypeSequence",
        "XAXRFFrameCharacteristicsSequence",
    ),
    "ComplexImageComponent": ("MRImageFrameTypeSequence",),
    "EffectiveEchoTime": ("MREchoSequence",),
    "DiffusionBValue": ("MRDiffusionSequence",),
    "TemporalPositionIndex": ("FrameContentSequence",),
    "FrameAcquisitionNumber": ("FrameContentSequence",),
    "FrameAcquisitionDateTime": ("FrameContentSequence",),
    "FrameReferenceDateTime": ("FrameContentSequence",),
    "TemporalPositionTimeOffset": ("TemporalPositionSequence",),
    "NominalCardiacTriggerDelayTime": ("CardiacSynchronizationSequence",),
    "ReferencedSegmentNumber": ("SegmentIdentificationSequence",),
    "RealWorldValueSlope": ("RealWorldValueMappingSequence",),
    "RealWorldValueIntercept": ("RealWorldValueMappingSequence",),
    "RepetitionTime": ("MRTimingAndRelatedParametersSequence",),
}


def of_frame(dataset: Dataset, number: int, keyword: str) -> Any:  # noqa: ANN401 (whatever the value is)
    """Return an attribute's value for a frame (from 0); None where it is absent or empty."""
    for group in _groups(dataset, number):
        for macro in _MACROS.get(keyword, ()):
            found = group.get(macro)
            value = found[0].get(keyword) if found else None
            if value not in (None, ""):
                return value
    value = dataset.get(keyword)
    return None if value in (None, "") else value


def number_of(value: Any) -> float | None:  # noqa: ANN401 (as above)
    """Return a value as a number; None where it is none."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _groups(dataset: Dataset, number: int) -> Iterator[Dataset]:
    of_each = dataset.get("PerFrameFunctionalGroupsSequence")
    if of_each is not None and number < len(of_each):
        yield of_each[number]
    shared = dataset.get("SharedFunctionalGroupsSequence")
    if shared:
        yield shared[0]
    yield dataset
