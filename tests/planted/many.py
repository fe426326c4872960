"""Hiding places behind harmless values: further values, what follows a NUL, numbers of every kind, UIDs."""

from collections.abc import Callable

from tests.planted.headers import DECIDING, listed, unlisted
from tests.planted.instance import Instance
from tests.planted.private import packed, safe_list
from tests.planted.raw import Field

_HARMLESS = {
    "AE": "ANY",
    "AS": "050Y",
    "CS": "ORIGINAL",
    "DA": "20240517",
    "DS": "1.5",
    "DT": "20240517101112",
    "IS": "7",
    "LO": "BRAIN",
    "PN": "REMOVED",
    "SH": "BRAIN",
    "TM": "101112",
    "UC": "BRAIN",
    "UI": "1.2.840.10008.1.2.1",
}
_TERMS = {0x00080008: "ORIGINAL\\PRIMARY\0", 0x00180015: "BRAIN\0", 0x00185100: "HFS \0"}
_UNBROKEN = ("LT", "ST", "UT", "UR")  # a backslash is a letter there
_BINARY = frozenset({"AT", "OB", "OD", "OF", "OL", "OV", "OW", "SV", "UN", "UV"})
_BETWEEN = ("\0", "\0\0\0\0", "\r\n", "\n", "\f", "\t", " " * 40, "\x1b(B", " \\\0")


def _attributes(one: Instance, vrs, count: int) -> list[tuple[int, str]]:
    taken = {*one.dataset, *DECIDING, *_TERMS}
    fitting = [each for each in (*listed(), *unlisted()) if each[1] in vrs and each[0] not in taken]
    return one.planter.random.sample(fitting, min(count, len(fitting)))


def further_values(one: Instance) -> None:
    """A value that may stay, and another beside it that may not, in attributes of any multiplicity."""
    planter = one.planter
    for tag, vr in _attributes(one, _HARMLESS, 250):
        where = f"second value of ({tag >> 16:04X},{tag & 0xFFFF:04X}) {vr}"
        values = [_HARMLESS[vr], planter.uid(where) if vr == "UI" else planter.plain(where)]
        planter.random.shuffle(values)
        one.add({tag: Field(vr, "\\".join(values))})


def behind_controls(one: Instance) -> None:
    """Text behind what some readers take for the end of a value."""
    planter = one.planter
    for tag, vr in _attributes(one, {*_HARMLESS, *_UNBROKEN}, 250):
        where = f"behind controls in ({tag >> 16:04X},{tag & 0xFFFF:04X}) {vr}"
        between = planter.random.choice(_BETWEEN)
        one.add({tag: Field(vr, _HARMLESS.get(vr, "BRAIN") + between + planter.plain(where))})
    for tag, text in _TERMS.items():
        one.add({tag: Field("CS", text + planter.plain(f"behind a term of {tag:08X}"))})


def bytes_of_every_kind(one: Instance) -> None:
    """Text, plain and packed, in attributes of bytes, words, tags and long numbers."""
    planter = one.planter
    for tag, vr in _attributes(one, _BINARY, 150):
        where = f"bytes of ({tag >> 16:04X},{tag & 0xFFFF:04X}) {vr}"
        raw = planter.random.choice(
            (lambda w=where: planter.plain(w).encode() * 2, lambda w=where: packed(planter, w))
        )()
        one.add({tag: Field(vr, raw.ljust(-(-len(raw) // 8) * 8, b"\0"))})


def uids_in_odd_places(one: Instance) -> None:
    """UIDs of the study, the series and the instance, in text, unknown and private elements."""
    planter, known = one.planter, (one.study.uid, one.series, one.uid, one.study.frame_of_reference)
    text = _attributes(one, {"LO", "LT", "ST", "UT", "SH", "UC", "UR", "OB"}, 60)
    for place, (tag, vr) in enumerate(text):
        one.add(
            {
                tag: Field(
                    vr, planter.random.choice(("{}", "see {}", "{}\\{}")).replace("{}", known[place % 4])
                )
            }
        )
    for tag, _vr in _attributes(one, {"UI"}, 30):
        one.add({tag: Field("UN", planter.random.choice(known))})
    one.add({0x00110010: Field("LO", planter.word("creator of UIDs"))})
    for number, vr in enumerate(("UI", "UN", "LO", "OB", "UT", "SH")):
        one.add({0x00111000 | number: Field(vr, known[number % 4])})
    inner = {0x00110010: Field("LO", one.series), 0x00111001: Field("UI", one.uid)}
    one.add({0x001110F0: Field("SQ", [inner]), 0x001110F1: Field("UN", [inner])})


def creators_elsewhere(one: Instance) -> None:
    """Blocks whose creator is known outside the item they stand in, named twice, or in another spelling."""
    planter = one.planter
    creator, group, low, vr = planter.random.choice(
        [row for row in safe_list() if row[3] in {"DS", "IS", "FD", "LO"}]
    )
    tag = group << 16 | 0x1000 | low

    def text(where: str) -> Field:
        return Field(vr, planter.plain(where).encode().ljust(16))

    outside = {tag: text("creator outside of the item")}
    spelt = {group << 16 | 0x10: Field("LO", f" {creator.lower()}"), tag: text("creator in small letters")}
    twice = {
        group << 16 | 0x10: Field("LO", f"{creator}\\{planter.word('second creator')}"),
        tag: text("two creators"),
    }
    block = {group << 16 | 0x11: Field("LO", creator), tag: text("block of another")}
    long = {
        group << 16 | 0x10: Field("LO", f"{creator}\0{planter.plain('behind a creator')}"),
        tag: text("long creator"),
    }
    one.add(
        {
            group << 16 | 0x10: Field("LO", creator),
            0x52009229: Field("SQ", [outside, spelt, twice, block, long]),
        }
    )
    private = {
        0x00331001 | at: Field("SQ", [each]) for at, each in enumerate((outside, spelt, twice, block, long))
    }
    one.add({0x00330010: Field("LO", creator), **private})


PLACES: tuple[Callable[[Instance], None], ...] = (
    *(further_values, behind_controls, bytes_of_every_kind, uids_in_odd_places, creators_elsewhere),
)
