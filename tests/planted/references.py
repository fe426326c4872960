"""Instances that refer to others in every way their kind has; the UIDs are those of files of the corpus."""

from collections.abc import Callable, Sequence

from tests.planted.instance import CT, Instance, Target
from tests.planted.raw import Dataset, Field


def sq(*items: Dataset) -> Field:
    return Field("SQ", list(items))


def _sop(target: Target, **more: Field) -> Dataset:
    found = {0x00081150: Field("UI", CT), 0x00081155: Field("UI", target.instance)}
    return found | {int(tag[1:], 16): field for tag, field in more.items()}


def _evidence(targets: Sequence[Target]) -> Field:
    """Studies, series and instances as PS3.3 Table C.17-3 nests them (of hierarchical references)."""
    return sq(
        *(
            {
                0x0020000D: Field("UI", each.study),
                0x00081115: sq({0x0020000E: Field("UI", each.series), 0x00081199: sq(_sop(each))}),
            }
            for each in targets
        )
    )


def _series(targets: Sequence[Target], inner: int) -> Field:
    return sq(*({0x0020000E: Field("UI", each.series), inner: sq(_sop(each))} for each in targets))


def _structured(targets: Sequence[Target], frame: str) -> Dataset:
    images = [
        {
            0x0040A010: Field("CS", "CONTAINS"),
            0x0040A040: Field("CS", "IMAGE"),
            0x00081199: sq(_sop(each, t00081160=Field("IS", "1"))),
        }
        for each in targets
    ]
    uid = {0x0040A010: Field("CS", "CONTAINS"), 0x0040A040: Field("CS", "UIDREF")}
    uid[0x0040A124] = Field("UI", targets[0].series)
    point = {0x0040A040: Field("CS", "SCOORD3D"), 0x0040A010: Field("CS", "CONTAINS")}
    point |= {0x00700023: Field("CS", "POINT"), 0x30060024: Field("UI", frame)}
    point |= {0x00700022: Field("FL", (1.0, 2.0, 3.0))}
    return {
        0x0040A040: Field("CS", "CONTAINER"),
        0x0040A730: sq(*images, uid, point),
        0x0040A375: _evidence(targets),
        0x0040A385: _evidence(targets[:1]),
        0x0040A525: _evidence(targets[1:]),
    }


def _segments(targets: Sequence[Target], frame: str) -> Dataset:
    source = [
        _sop(each, t0040A170=sq({0x00080100: Field("SH", "121322"), 0x00080102: Field("SH", "DCM")}))
        for each in targets
    ]
    frames = [{0x00089124: sq({0x00082112: sq(each)})} for each in source]
    organization = f"{targets[0].instance}.1"
    return {
        0x00620001: Field("CS", "BINARY"),
        0x00081115: _series(targets, 0x0008114A),
        0x00081200: _evidence(targets),
        0x00209221: sq({0x00209164: Field("UI", organization)}),
        0x00209222: sq({0x00209164: Field("UI", organization), 0x00209165: Field("AT", (0x0062, 0x000B))}),
        0x52009230: sq(*frames),
    }


def _structures(targets: Sequence[Target], frame: str) -> Dataset:
    study = {
        0x00081150: Field("UI", "1.2.840.10008.3.1.2.3.1"),
        0x00081155: Field("UI", targets[0].study),
        0x30060014: _series(targets, 0x30060016),
    }
    contour = {
        0x30060016: sq(*map(_sop, targets)),
        0x30060042: Field("CS", "POINT"),
        0x30060046: Field("IS", "1"),
    }
    contour[0x30060050] = Field("DS", "1\\2\\3")
    return {
        0x30060010: sq({0x00200052: Field("UI", frame), 0x30060012: sq(study)}),
        0x30060020: sq({0x30060022: Field("IS", "1"), 0x30060024: Field("UI", frame)}),
        0x30060039: sq({0x30060040: sq(contour), 0x30060084: Field("IS", "1")}),
        0x30060018: sq(_sop(targets[0])),
    }


def _presentation(targets: Sequence[Target], frame: str) -> Dataset:
    images = [_sop(each) for each in targets]
    return {
        0x00081115: _series(targets, 0x00081140),
        0x0070005A: sq({0x00081140: sq(*images), 0x00700052: Field("SL", (1, 1))}),
        0x00700001: sq({0x00081140: sq(*images)}),
        0x00283110: sq(
            {0x00081140: sq(*images), 0x00281050: Field("DS", "40"), 0x00281051: Field("DS", "80")}
        ),
    }


def _registered(targets: Sequence[Target], frame: str) -> Dataset:
    entries = [{0x00200052: Field("UI", frame), 0x00081140: sq(_sop(each))} for each in targets]
    return {
        0x00700308: sq(*entries),
        0x00081115: _series(targets, 0x0008114A),
        0x00081200: _evidence(targets),
    }


def _real_world(targets: Sequence[Target], frame: str) -> Dataset:
    mapped = {
        0x00081140: sq(*map(_sop, targets)),
        0x00409096: sq({0x00409224: Field("FD", (0.0,)), 0x00409225: Field("FD", (2.0,))}),
    }
    return {0x00409094: sq(mapped), 0x00081115: _series(targets, 0x0008114A)}


def _dose(targets: Sequence[Target], frame: str) -> Dataset:
    return {
        0x300C0002: sq(_sop(targets[0])),
        0x300C0060: sq(_sop(targets[-1])),
        0x300C0080: sq(_sop(targets[0])),
    }


def _image(targets: Sequence[Target], frame: str) -> Dataset:
    images = [_sop(each) for each in targets]
    return {
        **dict.fromkeys((0x00081140, 0x00082112, 0x0008113A, 0x0008114A), sq(*images)),
        0x00081250: sq(
            *({0x0020000D: Field("UI", each.study), 0x0020000E: Field("UI", each.series)} for each in targets)
        ),
        0x00083010: Field("UI", targets[0].instance),
        0x00200200: Field("UI", frame),
        0x00081115: Field(
            "UN", [{0x0020000E: Field("UI", each.series), 0x0008114A: sq(_sop(each))} for each in targets]
        ),
    }


_Maker = Callable[[Sequence[Target], str], Dataset]
# Kind of object: SOP class, modality, what refers.
KINDS: dict[str, tuple[str, str, _Maker]] = {
    "sr": ("1.2.840.10008.5.1.4.1.1.88.33", "SR", _structured),
    "kos": ("1.2.840.10008.5.1.4.1.1.88.59", "KO", _structured),
    "seg": ("1.2.840.10008.5.1.4.1.1.66.4", "SEG", _segments),
    "rtstruct": ("1.2.840.10008.5.1.4.1.1.481.3", "RTSTRUCT", _structures),
    "pr": ("1.2.840.10008.5.1.4.1.1.11.1", "PR", _presentation),
    "reg": ("1.2.840.10008.5.1.4.1.1.66.1", "REG", _registered),
    "rwv": ("1.2.840.10008.5.1.4.1.1.67", "RWV", _real_world),
    "rtdose": ("1.2.840.10008.5.1.4.1.1.481.2", "RTDOSE", _dose),
    "image": (CT, "CT", _image),
}


def kind(name: str) -> Callable[[Instance], None]:
    """An instance of a kind that refers to those it has for targets."""
    sop_class, modality, made = KINDS[name]

    def plant(one: Instance) -> None:
        if modality not in {"SEG", "CT"}:
            one.become(sop_class, modality)
        one.sop_class = sop_class
        one.add({0x00080016: Field("UI", sop_class), 0x00080060: Field("CS", modality)})
        one.add(made(one.targets, one.study.frame_of_reference))

    return plant
