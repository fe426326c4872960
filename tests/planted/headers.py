"""Hiding places in the header: every attribute at every depth, in every encoding, under every VR."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

from pydicom.datadict import DicomDictionary

from tests.planted.canaries import Planter
from tests.planted.instance import Instance
from tests.planted.raw import BIG, DEFLATED, IMPLICIT, Dataset, Field, Form

_TABLES = Path(__file__).resolve().parents[2] / "deid" / "tables"
# These decide whether and how an instance is published at all, or are the instance's own identity.
DECIDING = frozenset(
    {0x00080005, 0x00080008, 0x00080016, 0x00080018, 0x00080060, 0x0020000D, 0x0020000E, 0x00100020}
    | {0x00100021, 0x00280301, 0x00080070, 0x00081090, 0x00181020, 0x00280120}
    | set(range(0x00280002, 0x00280104))
)
# Values of these VRs may be anything a number may be: digits in them are no leak.
_NUMBERED = frozenset({"AS", "TM"})
_SOME = 600  # of the attributes that no row names: other seeds take others
DEPTHS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)


@cache
def listed() -> tuple[tuple[int, str], ...]:
    """Every attribute of PS3.15 Table E.1-1, of any edition there is, with its VR."""
    tags = set()
    for path in sorted(_TABLES.glob("ps315_*.tsv")):
        for line in path.read_text(encoding="ascii").splitlines():
            text = line.partition("\t")[0].strip("()").replace(",", "").replace("x", "0")
            if len(text) == 8 and text != "gggg" and all(one in "0123456789ABCDEF" for one in text):
                tags.add(int(text, 16))
    return tuple((tag, vr) for tag in sorted(tags) if tag >= 0x00080000 for vr in [_vr(tag)] if vr)


@cache
def unlisted() -> tuple[tuple[int, str], ...]:
    """Every other attribute of PS3.6."""
    known = {tag for tag, _ in listed()}
    return tuple(
        (tag, _vr(tag))
        for tag in sorted(DicomDictionary)
        if 0x0008 <= tag >> 16 < 0xFFFA and tag >> 16 != 0x7FE0 and tag not in known and _vr(tag)
    )


def _vr(tag: int) -> str:
    row = DicomDictionary.get(tag)
    if row is None:
        return {0x60: "OW", 0x50: "OW"}.get(tag >> 24, "")
    return row[0].split(" or ")[-1].replace("NONE", "UN")


def _planted(planter: Planter, attributes, place: str, as_vr: str = "") -> dict[int, Field]:
    found: dict[int, Field] = {}
    for tag, vr in attributes:
        where = f"{place} ({tag >> 16:04X},{tag & 0xFFFF:04X})"
        if tag in DECIDING:
            continue
        if vr == "SQ":
            found[tag] = Field("SQ", [_within(planter, where)])
        elif vr not in _NUMBERED:
            found[tag] = Field(as_vr or vr, planter.value(vr, where))
    return found


def _within(planter: Planter, where: str) -> Dataset:
    return planter.random.choice(
        (
            lambda: {0x00081030: Field("LO", planter.word(where))},
            lambda: {0x00204000: Field("LT", planter.word(where))},
            lambda: {0x00401101: Field("SQ", [{0x00080104: Field("LO", planter.word(where))}])},
            lambda: {0x0040A730: Field("SQ", [{0x0040A123: Field("PN", planter.name(where))}])},
        )
    )()


def _nested(planter: Planter, inner: Dataset, depth: int) -> dict[int, Field]:
    """Wrap elements into sequences of random kinds; the outermost are ones that are nobody's to remove."""
    for level in range(depth):
        last = level == depth - 1
        tag = planter.random.choice(
            (0x52009229, 0x52009230, 0x00400555, 0x00540016, 0x0040A730) if last else _PARENTS
        )
        inner = {tag: Field("SQ", [inner])}
    return dict(inner)


# No Frame Anatomy Sequence: dciodvfy takes one at any depth for the laterality of the image, and misses it
# when what it stands in goes.
_PARENTS = (
    *(0x00081115, 0x00081140, 0x00082112, 0x00089121, 0x00089124, 0x00089215, 0x00089237, 0x00180026),
    *(0x00189321, 0x00189346, 0x00209113, 0x00209111, 0x00209116, 0x00209221, 0x00209222, 0x00189152),
    *(0x00289110, 0x00289145, 0x00289132, 0x00400220, 0x00400260, 0x00400555, 0x00409096, 0x0040A043),
    *(0x0040A168, 0x0040A370, 0x0040A730, 0x00620002, 0x00700001, 0x0070031C, 0x30060010, 0x30060039),
    *(0x300A00B0, 0x300A0111, 0x52009229, 0x52009230, 0x00081199, 0x00081250, 0x0008114A, 0x00420013),
)


def top_level(one: Instance) -> None:
    one.add(_planted(one.planter, [each for each in listed() if each[0] not in one.dataset], "top level"))


def as_unknown(one: Instance) -> None:
    one.add(_planted(one.planter, [each for each in listed() if each[0] not in one.dataset], "as UN", "UN"))


def unlisted_attributes(one: Instance) -> None:
    some = one.planter.random.sample(unlisted(), _SOME)
    one.add(_planted(one.planter, [each for each in some if each[0] not in one.dataset], "unlisted"))


def unlisted_nested(one: Instance) -> None:
    inner = _planted(one.planter, one.planter.random.sample(unlisted(), _SOME), "unlisted, nested")
    one.add(_nested(one.planter, inner, one.planter.random.randrange(1, 6)))


def deep(depth: int) -> Callable[[Instance], None]:
    """A quarter of the listed attributes at a depth, in one of the encodings."""

    def plant(one: Instance) -> None:
        part = one.planter.random.sample(listed(), len(listed()) // 4)
        one.form = Form(undefined=depth % 2 == 0)
        one.syntax = (IMPLICIT, one.syntax, BIG, DEFLATED)[depth % 4]
        if one.syntax == BIG:
            one.dataset.pop(0x7FE00010)
        one.add(_nested(one.planter, _planted(one.planter, part, f"depth {depth}"), depth))

    return plant


def lying_vrs(one: Instance) -> None:
    """Numbers and codes whose VR in the stream is one of text, and text called numbers."""
    places = [
        tag for tag, vr in unlisted() if vr in {"DS", "IS", "US", "FD", "CS", "FL"} and tag >> 16 == 0x0018
    ]
    for tag in one.planter.random.sample(places, 60):
        vr = one.planter.random.choice(("UT", "LO", "OB", "UN", "PN", "ST", "FD", "UC"))
        where = f"({tag >> 16:04X},{tag & 0xFFFF:04X}) as {vr}"
        text = one.planter.name(where) if vr == "PN" else one.planter.word(where, 40, digits=False)
        one.add({tag: Field(vr, text.encode().ljust(40)[:40])})


def wide_text_as_numbers(one: Instance) -> None:
    """UTF-16 and turned words where whole numbers belong: nothing in them is printable byte by byte."""
    numbers = {"US", "UL", "SS", "SL", "FD", "FL"}
    places = [tag for tag, vr in unlisted() if vr in numbers and tag not in DECIDING]
    for tag in one.planter.random.sample(places, 80):
        vr = _vr(tag)
        word = one.planter.plain(f"({tag >> 16:04X},{tag & 0xFFFF:04X}) {vr}")
        wide = [word.encode("utf_16_le"), word.encode("utf_16_be"), word.encode("utf_32_le")]
        one.add({tag: Field(vr, one.planter.random.choice(wide).ljust(48, b"\0")[:48])})


def in_series(number: int) -> Callable[[Instance], None]:
    """One of several images with nearly the same header; what is planted is clean in the first of them."""

    def plant(one: Instance) -> None:
        planter = one.planter
        chosen = [each for each in listed()[::7] if each[0] not in one.dataset and each[1] != "SQ"]
        one.add(_planted(planter, chosen, "in a series"))
        one.add({0x00190010: Field("LO", "SIEMENS MR HEADER")})
        for tag, (vr, clean) in _VARYING.items():
            text = planter.plain(f"({tag >> 16:04X},{tag & 0xFFFF:04X}) in a series").encode()
            if number == 1:
                planter.canaries.pop()
            one.add({tag: Field(vr, clean if number == 1 else (text * 3)[: max(16, len(clean))])})

    return plant


# What differs from image to image, with a value that may stay.
_VARYING = {
    0x00080008: ("CS", b"ORIGINAL\\PRIMARY\\AXIAL"),
    0x00080013: ("TM", b"101112"),
    0x00180015: ("CS", b"BRAIN"),
    0x00180081: ("DS", b"30"),
    0x00181020: ("LO", b"5.3.0.3"),
    0x00181310: ("US", bytes(8)),
    0x00189087: ("FD", bytes(8)),
    0x0019100C: ("IS", b"1000"),
    0x0019100E: ("FD", bytes(24)),
    0x00280106: ("US", b"\1\0"),
    0x00281050: ("DS", b"40"),
    0x00281055: ("LO", b"BRAIN"),
    0x00541300: ("DS", b"1.5"),
}


PLACES: tuple[Callable[[Instance], None], ...] = (
    *(top_level, as_unknown, unlisted_attributes, unlisted_nested, lying_vrs, wide_text_as_numbers),
)
