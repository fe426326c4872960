"""From the header of an instance to its frames: place, scale, meaning, and what orders them."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
from pydicom import Dataset

from dgis.client.volume.attributes import number_of, of_frame
from dgis.client.volume.mosaic import tiles
from dgis.client.volume.values import Frame, Plane, Vector

# What may order frames of one place, the most telling first: its unit in seconds (None: no time).
ORDERS: Mapping[str, float | None] = {
    "TemporalPositionIndex": None,
    "TemporalPositionIdentifier": None,
    "TemporalPositionTimeOffset": 1.0,
    "FrameReferenceTime": 1e-3,
    "NominalCardiacTriggerDelayTime": 1e-3,
    "TriggerTime": 1e-3,
    "DiffusionBValue": None,
    "EffectiveEchoTime": None,
    "EchoTime": None,
    "AcquisitionNumber": None,
    "FrameAcquisitionNumber": None,
    "FrameAcquisitionDateTime": 1.0,
    "AcquisitionDateTime": 1.0,
    "AcquisitionTime": 1.0,
    "ContentTime": 1.0,
    "InstanceNumber": None,
    "Frame": None,
}
_MOMENTS = {"FrameAcquisitionDateTime", "AcquisitionDateTime"}
_TIMES = {"AcquisitionTime", "ContentTime"}
# Where a vendor keeps the b-value of an object that has no standard one: creator, group, element, values.
_B_VALUES = (
    ("SIEMENS MR HEADER", 0x0019, 0x0C),
    ("GEMS_PARM_01", 0x0043, 0x39),
    ("Philips Imaging DD 001", 0x2001, 0x03),
)
_GE_FLAG = 1_000_000_000  # GE adds it to the b-value of some sequences
_ORTHOGONAL = 1e-3


def frames_of(dataset: Dataset, instance: int) -> Iterator[Frame]:
    """Yield the frames of an instance; a mosaic's tiles are frames of their own."""
    cut = tiles(dataset)
    if cut is not None:
        scale, units = _scale(dataset, 0)
        kind, said = _kind(dataset, 0), _said(dataset, 0)
        for tile, window in zip(cut.planes, cut.windows, strict=True):
            yield Frame(instance, 0, cut.shape, tile, scale, units, kind, said, window)
        return
    shape = int(dataset.Rows), int(dataset.Columns)
    for number in range(int(dataset.get("NumberOfFrames") or 1)):
        scale, units = _scale(dataset, number)
        plane, kind, said = _plane(dataset, number), _kind(dataset, number), _said(dataset, number)
        yield Frame(instance, number, shape, plane, scale, units, kind, said)


def _plane(dataset: Dataset, number: int) -> Plane | None:
    position = _vector(of_frame(dataset, number, "ImagePositionPatient"), 3)
    axes = _vector(of_frame(dataset, number, "ImageOrientationPatient"), 6)
    spacing = _vector(of_frame(dataset, number, "PixelSpacing"), 2)
    if position is None or axes is None or spacing is None or not (spacing > 0).all():
        return None
    row, column = axes[:3], axes[3:]
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if min(lengths) < _ORTHOGONAL or abs(row @ column) > _ORTHOGONAL * lengths[0] * lengths[1]:
        return None  # no plane in space (PS3.3 C.7.6.2.1.1)
    row, column = row / lengths[0], column / lengths[1]
    offsets = dataset.get(
        "GridFrameOffsetVector"
    )  # RT Dose, PS3.3 C.8.8.3.2: from the first plane, along the normal
    if offsets is not None and np.ndim(offsets) and number < len(offsets):
        position = position + np.cross(row, column) * (float(offsets[number]) - float(offsets[0]))
    depth = next(
        (
            found
            for keyword in ("SpacingBetweenSlices", "SliceThickness")
            if (found := number_of(of_frame(dataset, number, keyword))) is not None and found > 0
        ),
        0.0,
    )
    return Plane(position, row, column, (float(spacing[0]), float(spacing[1])), depth)


def _scale(dataset: Dataset, number: int) -> tuple[tuple[float, float], str]:
    dose = number_of(dataset.get("DoseGridScaling"))  # PS3.3 C.8.8.3.2
    if dose is not None:
        return (dose, 0.0), str(dataset.get("DoseUnits", ""))
    slope = number_of(of_frame(dataset, number, "RescaleSlope"))
    intercept = number_of(of_frame(dataset, number, "RescaleIntercept"))
    if slope is None and intercept is None:  # PS3.3 C.7.6.16.2.11
        slope = number_of(of_frame(dataset, number, "RealWorldValueSlope"))
        intercept = number_of(of_frame(dataset, number, "RealWorldValueIntercept"))
    scale = (1.0 if slope is None else slope), (0.0 if intercept is None else intercept)
    units = dataset.get("Units") or of_frame(dataset, number, "RescaleType") or ""
    if not units and dataset.get("Modality") == "CT" and slope is not None:
        units = "HU"  # PS3.3 C.8.2.1.1.4: what they are where nothing is said
    return scale, "" if units == "US" else str(units)  # US: unspecified


def _kind(dataset: Dataset, number: int) -> tuple[str, ...]:
    """Return what tells quantities apart: values 3 and on of the image type, real or imaginary, segment."""
    types = of_frame(dataset, number, "FrameType") or dataset.get("ImageType") or ()
    listed = [types] if isinstance(types, str) else list(types)
    component = of_frame(dataset, number, "ComplexImageComponent") or ""
    segment = of_frame(dataset, number, "ReferencedSegmentNumber")
    return (*map(str, listed[2:]), str(component), "" if segment is None else f"segment {segment}")


def _said(dataset: Dataset, number: int) -> Mapping[str, float]:
    said: dict[str, float] = {"Frame": float(number)}
    for keyword in ORDERS:
        value = _b_value(dataset, number) if keyword == "DiffusionBValue" else None
        value = of_frame(dataset, number, keyword) if value is None else value
        if keyword in _MOMENTS | _TIMES and value is not None:
            value = _seconds(str(value), dated=keyword in _MOMENTS)
        found = number_of(value)
        if found is not None:
            said[keyword] = found
    return said


def _b_value(dataset: Dataset, number: int) -> float | None:
    found = number_of(of_frame(dataset, number, "DiffusionBValue"))
    if found is not None:
        return found
    for creator, group, element in _B_VALUES:
        try:
            value = dataset.get_private_item(group, element, creator).value
        except KeyError:
            continue
        first = value if isinstance(value, str | int | float) or not np.ndim(value) else value[0]
        private = number_of(first)
        if private is not None:
            return private % _GE_FLAG
    return None


def _seconds(text: str, *, dated: bool) -> float | None:
    """Return seconds since a beginning that is the same for all, of a DT or TM value."""
    whole, _, fraction = text.partition(".")
    form, digits = ("%Y%m%d%H%M%S", 14) if dated else ("%H%M%S", 6)
    try:
        moment = datetime.strptime(whole[:digits], form).replace(tzinfo=UTC)
        return moment.timestamp() + float(f"0.{fraction[:6] or 0}")
    except ValueError:
        return None


def _vector(value: Any, length: int) -> Vector | None:  # noqa: ANN401 (whatever the value is)
    try:
        found = np.array([float(each) for each in value], np.float64)
    except (TypeError, ValueError):
        return None
    return found if len(found) == length and np.isfinite(found).all() else None
