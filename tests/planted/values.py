"""Hiding places in values: character sets, names of many parts, dates in text, UIDs, codes and meanings."""

from collections.abc import Callable

from tests.planted.headers import DECIDING, listed, unlisted
from tests.planted.instance import Instance
from tests.planted.raw import Field


def charset(term: str) -> Callable[[Instance], None]:
    def plant(one: Instance) -> None:
        planter = one.planter
        one.add({0x00080005: Field("CS", term)})
        for tag, vr in (
            *(
                (0x00100010, "PN"),
                (0x00081070, "PN"),
                (0x00104000, "LT"),
                (0x00321060, "LO"),
                (0x00204000, "LT"),
            ),
            *(
                (0x00380010, "LO"),
                (0x00400254, "LO"),
                (0x00180015, "CS"),
                (0x00280A02, "CS"),
                (0x00081010, "SH"),
            ),
            *((0x0018A001, "SQ"), (0x00400275, "SQ"), (0x52009229, "SQ"), (0x00081032, "SQ")),
        ):
            where = f"{term} ({tag >> 16:04X},{tag & 0xFFFF:04X})"
            name = planter.charset_name(term, where)
            if vr == "SQ":
                inner = {
                    0x00080005: Field("CS", term),
                    0x00204000: Field("LT", name),
                    0x00080104: Field("LO", name),
                }
                one.add({tag: Field("SQ", [inner])})
            else:
                one.add({tag: Field(vr, name)})

    return plant


def name_groups(one: Instance) -> None:
    one.add({0x00080005: Field("CS", "ISO_IR 192")})
    for tag in (0x00081048, 0x00081050, 0x00081060, 0x00081070, 0x00101001, 0x00101005, 0x00101060):
        one.add({tag: Field("PN", one.planter.name_groups(f"({tag >> 16:04X},{tag & 0xFFFF:04X})"))})
    inner = {0x0040A123: Field("PN", one.planter.name_groups("PersonName in content"))}
    one.add({0x0040A730: Field("SQ", [inner])})


def dates_in_text(one: Instance) -> None:
    planter = one.planter
    for tag, vr in (
        (0x00204000, "LT"),
        (0x00184000, "LT"),
        (0x00181020, "LO"),
        (0x00180024, "SH"),
        (0x00181030, "LO"),
    ):
        day = planter.date(f"({tag >> 16:04X},{tag & 0xFFFF:04X})")
        one.add({tag: Field(vr, planter.random.choice(("{} scan", "V1.{}", "{}", "seen {}")).format(day))})
    for tag in (0x00181063, 0x00189074, 0x00540300, 0x00189073):
        day = planter.date(f"({tag >> 16:04X},{tag & 0xFFFF:04X}) as text")
        one.add({tag: Field("LO", f"{day}T101112")})
    moments = "\\".join(f"{planter.date('ContributionDateTime')}101112" for _ in range(2))
    one.add({0x0018A001: Field("SQ", [{0x0018A002: Field("DT", moments)}])})


def ages(one: Instance) -> None:
    one.add({0x00101010: Field("AS", "097Y"), 0x00101020: Field("DS", "1.7")})
    one.add({0x001021B0: Field("LT", "97 years " + one.planter.plain("AdditionalPatientHistory"))})


def uid_carriers(one: Instance) -> None:
    """UIDs that are numbers of somebody, under roots that look like kinds, and UIDs that are none."""
    planter = one.planter
    roots = (
        *("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.4", "1.2.840.10008", "2.16.840.1.113883.6"),
        *("1.2.840.10008.6.1", "2.25", "1.2.840.113619.2.55", "1.3.12.2.1107.5.2"),
    )
    odd: dict[int, str] = {
        0x00080014: planter.note(f"1.2.{planter.number('UID')}.007.1", "uid", "leading zeros"),
        0x00080017: planter.plain("no UID at all"),
        0x00083010: planter.note(f"1..2.{planter.number('UID')}", "uid", "empty component"),
        0x00200052: planter.note(f"9.2.{planter.number('UID')}.{planter.number('UID')}", "uid", "root 9"),
        0x00200200: f"1.2.3 {planter.plain('text behind a UID')}",
    }
    one.add({tag: Field("UI", text) for tag, text in odd.items()})
    tags = [
        tag for tag, vr in (*listed(), *unlisted()) if vr == "UI" and tag not in DECIDING and tag >> 16 != 4
    ]
    for tag in sorted({*tags} - {*odd}):
        root = planter.random.choice(roots)
        one.add(
            {tag: Field("UI", planter.uid(f"UID ({tag >> 16:04X},{tag & 0xFFFF:04X}) under {root}", root))}
        )
    inner = [
        {tag: Field("UI", planter.uid(f"kind ({tag:08X})", planter.random.choice(roots[:5])))}
        for tag in (0x00081150, 0x0008010C, 0x00080117, 0x00080118, 0x00083002, 0x00081115)
    ]
    one.add({0x00082112: Field("SQ", inner), 0x0040A043: Field("SQ", inner), 0x00089237: Field("SQ", inner)})


def coded_entries(one: Instance) -> None:
    """Codes of private, unknown and well known schemes whose values or meanings name somebody."""
    planter = one.planter
    schemes = (
        "99LOCAL",
        "L",
        "SCT",
        "DCM",
        "LN",
        "UCUM",
        "RADLEX",
        "MDC",
        planter.word("scheme", 16),
        "99SDM",
    )
    places = (0x00080100, 0x00080119, 0x00080120)
    for number, tag in enumerate(
        (0x00082218, 0x00540220, 0x0040A043, 0x00400260, 0x00080096, 0x00081032, 0x0040A168)
    ):
        items = []
        for scheme in schemes:
            where = f"code of {scheme} in {tag:08X}"
            value = planter.random.choice(
                (
                    lambda where=where: planter.word(where, 16),
                    lambda: "113100",
                    lambda: "T-A0100",
                    lambda where=where: planter.number(where),
                    lambda where=where: f"LP-{planter.number(where)}",
                )
            )()
            meaning = planter.word(where)
            items.append(
                {
                    places[number % 3]: Field("SH" if number % 3 == 0 else "UC", value),
                    0x00080102: Field("SH", scheme),
                    0x00080103: Field("SH", planter.word(where, 16)),
                    0x00080104: Field("LO", meaning),
                    0x0008010F: Field("CS", planter.plain(where)),
                    0x00080105: Field("CS", planter.plain(where)),
                    0x00080110: Field(
                        "SQ", [{0x00080102: Field("SH", scheme), 0x00080115: Field("ST", meaning)}]
                    ),
                }
            )
        one.add({tag: Field("SQ", items)})
    one.add({0x00080104: Field("LO", planter.word("meaning at top level"))})


PLACES: tuple[Callable[[Instance], None], ...] = (
    *(name_groups, dates_in_text, ages, uid_carriers, coded_entries),
)
