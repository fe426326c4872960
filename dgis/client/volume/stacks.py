"""Which frames make one volume: the same place, shape and meaning; repeats in the order of acquisition."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from dgis.client.volume.frames import ORDERS
from dgis.client.volume.geometry import places
from dgis.client.volume.values import Axis, Frame

_DIGITS = 3  # of direction cosines and millimetres, where frames are told apart
_ECHOES = ("EffectiveEchoTime", "EchoTime")
# What names the fourth dimension, where it is one value a volume and grows or changes from each to the next.
_NAMES = {"DiffusionBValue": "b_value"}
_PARTIAL = "one of several repeats, and incomplete: {} of {} slices"


@dataclass(frozen=True, slots=True)
class Stack:
    """Frames of one array: `volumes` of `slices` each, in order; `axis` where there is more than one."""

    volumes: tuple[tuple[Frame, ...], ...]
    axis: Axis | None = None
    problems: tuple[str, ...] = ()


def stacks(frames: Iterable[Frame]) -> list[Stack]:
    """Return frames in stacks, none left out; the order is that in which their first frames came."""
    groups: defaultdict[tuple[object, ...], list[Frame]] = defaultdict(list)
    for frame in frames:
        groups[_key(frame)].append(frame)
    return [stack for group in groups.values() for stack in _of_group(group)]


def _key(frame: Frame) -> tuple[object, ...]:
    plane = frame.plane
    if plane is None:
        return (frame.instance, frame.shape, frame.kind)  # nothing says that two such images belong together
    axes = np.round(np.concatenate([plane.along_row, plane.along_column]), _DIGITS) + 0.0
    spacing = tuple(round(each, _DIGITS) for each in plane.spacing)
    return (frame.shape, frame.kind, tuple(axes.tolist()), spacing)


def _of_group(frames: list[Frame]) -> list[Stack]:
    planes = [frame.plane for frame in frames if frame.plane is not None]
    if not planes:
        return [Stack((tuple(frames),))]
    at_place: defaultdict[int, list[Frame]] = defaultdict(list)
    for place, frame in zip(places(planes), frames, strict=True):
        at_place[place].append(frame)
    columns = [at_place[place] for place in sorted(at_place)]
    if all(len(column) == 1 for column in columns):
        return [Stack((tuple(column[0] for column in columns),))]
    echoes = _by_echo(frames)
    if len(echoes) > 1:
        return [stack for group in echoes for stack in _of_group(group)]
    return _repeats(columns)


def _by_echo(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Return frames apart by echo time, which changes what is measured; only where places repeat."""
    groups: defaultdict[float, list[Frame]] = defaultdict(list)
    for frame in frames:
        time = next((frame.said[word] for word in _ECHOES if word in frame.said), 0.0)
        groups[round(time, 2)].append(frame)
    return [groups[time] for time in sorted(groups)]


def _repeats(columns: Sequence[Sequence[Frame]]) -> list[Stack]:
    """Return volumes in the order of acquisition; one that lacks slices is a stack of its own."""
    if len({len(column) for column in columns}) == 1:
        word = next((word for word in ORDERS if all(_tells(word, column) for column in columns)), "Frame")
        ranked = [sorted(column, key=lambda frame: _order(frame, word)) for column in columns]
        volumes = [tuple(row) for row in zip(*ranked, strict=True)]
        return [Stack(tuple(volumes), _axis(volumes))]
    labels = _labels(columns)
    gathered: defaultdict[float, list[Frame]] = defaultdict(list)
    for column in columns:
        for frame in column:
            gathered[labels[id(frame)]].append(frame)
    rows = [tuple(gathered[label]) for label in sorted(gathered)]
    whole = [row for row in rows if len(row) == len(columns)]
    found = [Stack(tuple(whole), _axis(whole) if len(whole) > 1 else None)] if whole else []
    partial = (row for row in rows if len(row) < len(columns))
    return [*found, *(Stack((row,), None, (_PARTIAL.format(len(row), len(columns)),)) for row in partial)]


def _labels(columns: Sequence[Sequence[Frame]]) -> Mapping[int, float]:
    """Return by identity of a frame which volume it is of, where places have not equally many."""
    most = max(map(len, columns))
    for word in ORDERS:
        if all(_tells(word, column) for column in columns):
            values = {frame.said[word] for column in columns for frame in column}
            if len(values) == most:
                return {id(frame): frame.said[word] for column in columns for frame in column}
    return {
        id(frame): float(rank)
        for column in columns
        for rank, frame in enumerate(sorted(column, key=lambda frame: _order(frame, "InstanceNumber")))
    }


def _tells(word: str, column: Sequence[Frame]) -> bool:
    """Whether a keyword tells all frames of one place apart."""
    return len({frame.said[word] for frame in column if word in frame.said}) == len(column)


def _order(frame: Frame, word: str) -> tuple[float, ...]:
    return frame.said.get(word, 0.0), frame.said.get("InstanceNumber", 0.0), frame.instance, frame.number


def _axis(volumes: Sequence[Sequence[Frame]]) -> Axis:
    """Return what the fourth dimension is: b-values, else seconds from the first volume, else a count."""
    for word, name in _NAMES.items():
        values = [{frame.said.get(word) for frame in volume} for volume in volumes]
        if all(len(each) == 1 and None not in each for each in values) and len(set.union(*values)) > 1:
            return Axis(name, tuple(float(each.pop() or 0) for each in values))
    for word, unit in ORDERS.items():
        starts = [min((f.said[word] for f in volume if word in f.said), default=None) for volume in volumes]
        known = [start for start in starts if start is not None]
        if unit and len(known) == len(starts) and all(one < after for one, after in pairwise(known)):
            return Axis("time", tuple(round((start - known[0]) * unit, 6) for start in known))
    return Axis("repeat", tuple(float(number) for number in range(len(volumes))))
