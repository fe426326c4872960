"""A series as volumes: headers first, then the pixels of one instance after the other."""

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.pixels.processing import apply_modality_lut

from dgis.client.volume.frames import frames_of
from dgis.client.volume.geometry import Geometry, geometry
from dgis.client.volume.mosaic import is_mosaic, tiles
from dgis.client.volume.pixels import Samples, stored_pixels
from dgis.client.volume.stacks import Stack, stacks
from dgis.client.volume.values import Frame, NoImageError, Vector, Volume, VolumeError

Source = Path | str | bytes | Dataset

_ABOUT = (
    *("SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID", "Modality", "SeriesNumber"),
    *(
        "SeriesDescription",
        "ProtocolName",
        "RepetitionTime",
        "EchoTime",
        "FlipAngle",
        "MagneticFieldStrength",
    ),
    *("KVP", "SliceThickness", "ConvolutionKernel", "Manufacturer", "BodyPartExamined"),
)
_MOST_EXACT = 1 << 24  # whole numbers that a float32 holds
_WHOLE = (np.int16, np.int32, np.int64)
_DEFERRED_BYTES = 1 << 14
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


@dataclass(frozen=True, slots=True)
class Volumes:
    """What was read: volumes, and in words what is no part of any."""

    volumes: tuple[Volume, ...]
    left_out: tuple[str, ...]


def read_volumes(sources: Iterable[Source]) -> Volumes:
    """Read instances of one series, in any order.

    Localizers and other orientations, other shapes, image types, echoes and segments become volumes of their
    own; repeats of a place a fourth dimension. An instance that is given twice counts once.

    Args:
        sources: files, bytes of files, or data sets with file meta information.

    Raises:
        VolumeError: nothing there is an image, or pixels cannot be decoded.
    """
    left_out: list[str] = []
    images: list[Dataset] = []
    ours: list[bool] = []
    seen: set[str] = set()
    for source in sources:
        dataset = _opened(source)
        uid = str(dataset.get("SOPInstanceUID", "")) if dataset is not None else ""
        if dataset is None or not dataset.get("Rows") or not dataset.get("Columns"):
            left_out.append("a file that is no image")
        elif uid and uid in seen:
            left_out.append(f"a second copy of {uid}")
        else:
            seen.add(uid)
            images.append(dataset)
            ours.append(dataset is not source)
    if not images:
        raise NoImageError("no image is among these files")
    found = stacks(frame for number, image in enumerate(images) for frame in frames_of(image, number))
    arrays = _arrays(found, images, ours)
    made = (_volume(stack, array, images) for stack, array in zip(found, arrays, strict=True))
    return Volumes(tuple(made), tuple(left_out))


def _opened(source: Source) -> Dataset | None:
    """Return a data set; of a file the pixels are read when they are asked for."""
    if isinstance(source, Dataset):
        return source
    try:
        if isinstance(source, bytes):
            return dcmread(io.BytesIO(source))
        return dcmread(source, defer_size=_DEFERRED_BYTES)
    except InvalidDicomError:
        return None


def _arrays(found: list[Stack], images: list[Dataset], ours: list[bool]) -> list[Samples]:
    """Return the arrays of all stacks; each instance is decoded once, and one at a time."""
    wanted: dict[int, list[tuple[int, int, Frame]]] = {}
    for number, stack in enumerate(found):
        for at, frame in enumerate(frame for volume in stack.volumes for frame in volume):
            wanted.setdefault(frame.instance, []).append((number, at, frame))
    arrays: dict[int, Samples] = {}
    kinds = [_is_fractional(stack) for stack in found]
    for instance, parts in wanted.items():
        dataset = images[instance]
        samples = stored_pixels(dataset)
        for number, at, frame in parts:
            values = _scaled(_cut(samples, frame), frame, dataset, floats=kinds[number])
            array = arrays.get(number)
            if array is None:
                count = sum(map(len, found[number].volumes))
                array = np.zeros((count, *values.shape), values.dtype)
            arrays[number] = array.astype(np.promote_types(array.dtype, values.dtype), copy=False)
            arrays[number][at] = values
        if ours[instance]:
            for keyword in _PIXELS:
                dataset.pop(keyword, None)  # its bytes are not needed again
    return [_shaped(arrays[number], stack) for number, stack in enumerate(found)]


def _shaped(array: Samples, stack: Stack) -> Samples:
    """Give the fourth dimension an axis of its own."""
    volumes = len(stack.volumes)
    return array.reshape((volumes, -1, *array.shape[1:])) if volumes > 1 else array


def _is_fractional(stack: Stack) -> bool:
    """Whether a stack needs floating point: a slope or intercept of some frame is no whole number."""
    scales = {frame.scale for volume in stack.volumes for frame in volume}
    return any(not part.is_integer() or abs(part) >= _MOST_EXACT for scale in scales for part in scale)


def _cut(samples: Samples, frame: Frame) -> Samples:
    if frame.number >= len(samples):
        raise VolumeError(f"an instance has {len(samples)} frames, and says that it has more")
    if frame.window is None:
        return np.asarray(samples[frame.number])
    row, column = frame.window
    return np.asarray(samples[frame.number, row : row + frame.shape[0], column : column + frame.shape[1]])


def _scaled(stored: Samples, frame: Frame, dataset: Dataset, *, floats: bool) -> Samples:
    """Return real values; whole numbers stay whole where slope and intercept are."""
    if dataset.get("ModalityLUTSequence"):
        return np.asarray(apply_modality_lut(stored, dataset))
    slope, intercept = frame.scale
    if floats or stored.dtype.kind == "f":
        wide = np.float64 if stored.dtype == np.float64 else np.float32
        return np.asarray((stored.astype(np.float64) * slope + intercept).astype(wide))
    if frame.scale == (1.0, 0.0):
        return stored
    values = stored.astype(np.int64) * int(slope) + int(intercept)
    low, high = int(values.min()), int(values.max())
    return values.astype(
        next(kind for kind in _WHOLE if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max)
    )


def _volume(stack: Stack, array: Samples, headers: list[Dataset]) -> Volume:
    first = stack.volumes[0]
    header = headers[first[0].instance]
    told: Geometry | None = None
    positions: Vector | None = None
    planes = [frame.plane for frame in first if frame.plane is not None]
    problems = list(stack.problems)
    if planes:
        told = geometry(planes)
        positions = np.array([plane.position for plane in planes])
        problems += told.problems
    elif is_mosaic(header) and tiles(header) is None:
        problems.append("a mosaic without the number of its tiles, or their direction: kept as one picture")
    units = {frame.units for volume in stack.volumes for frame in volume}
    return Volume(
        array=array,
        affine=told.affine if told else None,
        positions=positions,
        axis=stack.axis,
        colour=int(header.get("SamplesPerPixel", 1)) > 1
        or header.get("PhotometricInterpretation") == "PALETTE COLOR",
        units=units.pop() if len(units) == 1 else "",
        problems=tuple(problems),
        regular=told.regular if told else True,
        about=_about(header, first[0]),
    )


def _about(header: Dataset, frame: Frame) -> Mapping[str, Any]:
    values = {keyword: header.get(keyword) for keyword in _ABOUT}
    plain = {key: value for key, value in values.items() if value not in (None, "")}
    said = {
        key: float(value) if isinstance(value, int | float) else str(value) for key, value in plain.items()
    }
    return said | {"ImageType": [word for word in frame.kind if word]}
