"""Hiding places in structured reports and key object selections (PS3.3 C.17)."""

from collections.abc import Callable

from tests.planted.canaries import Planter
from tests.planted.instance import CT, Instance
from tests.planted.raw import Dataset, Field

SR, _KOS = "1.2.840.10008.5.1.4.1.1.88.33", "1.2.840.10008.5.1.4.1.1.88.59"


def code(value: str, scheme: str, meaning: str) -> Dataset:
    return {0x00080100: Field("SH", value), 0x00080102: Field("SH", scheme), 0x00080104: Field("LO", meaning)}


def _content(planter: Planter, kind: str, where: str, **more: Field) -> dict[int, Field]:
    private = planter.random.random() < 0.5  # codes of the standard with a meaning of one's own are as common
    concept = (
        code(planter.word(where, 16), "99X", planter.word(where))
        if private
        else code("121071", "DCM", planter.word(where))
    )
    return {
        0x0040A010: Field("CS", "CONTAINS"),
        0x0040A040: Field("CS", kind),
        0x0040A043: Field("SQ", [concept]),
        **{int(tag[1:], 16): field for tag, field in more.items()},
    }


def report(one: Instance) -> None:
    """A tree of every value type (PS3.3 C.17.3), nested, with observers and verifiers."""
    planter = one.planter
    one.become(SR, "SR")
    day = planter.date("DATE of a report")
    leaves = [
        _content(planter, "TEXT", "TEXT", t0040A160=Field("UT", planter.word("TextValue"))),
        _content(planter, "PNAME", "PNAME", t0040A123=Field("PN", planter.name("PersonName"))),
        _content(planter, "DATE", "DATE", t0040A121=Field("DA", day)),
        _content(planter, "DATETIME", "DATETIME", t0040A120=Field("DT", planter.date("DATETIME") + "101112")),
        _content(planter, "UIDREF", "UIDREF", t0040A124=Field("UI", planter.uid("UIDREF"))),
        _content(
            planter,
            "CODE",
            "CODE",
            t0040A168=Field("SQ", [code(planter.word("CODE", 16), "99LOCAL", planter.word("CODE"))]),
        ),
        _content(
            planter,
            "CODE",
            "CODE",
            t0040A168=Field("SQ", [code("T-D1100", "SRT", planter.word("meaning of CODE"))]),
        ),
        _content(planter, "NUM", "NUM", t0040A300=Field("SQ", [_measured(planter)])),
        _content(
            planter, "COMPOSITE", "COMPOSITE", t00081199=Field("SQ", [_reference(planter, "COMPOSITE")])
        ),
        _content(
            planter,
            "SCOORD",
            "SCOORD",
            t00700022=Field("FL", planter.plain("GraphicData").encode().ljust(16)),
            t00700023=Field("CS", "POINT"),
        ),
        _content(
            planter,
            "TCOORD",
            "TCOORD",
            t0040A13A=Field("DT", planter.date("TCOORD") + "1011"),
            t0040A130=Field("CS", "POINT"),
        ),
    ]
    for leaf in leaves:
        leaf[0x0040A032] = Field("DT", planter.date("ObservationDateTime") + "101112")
        leaf[0x0040A171] = Field("UI", planter.uid("ObservationUID"))
    tree = leaves
    for _ in range(planter.random.randrange(1, 5)):
        tree = [_content(planter, "CONTAINER", "CONTAINER", t0040A730=Field("SQ", tree)), *leaves[:2]]
    verifier = {
        0x0040A027: Field("LO", planter.word("VerifyingOrganization")),
        0x0040A030: Field("DT", planter.date("VerificationDateTime") + "101112"),
        0x0040A075: Field("PN", planter.name("VerifyingObserverName")),
        0x0040A088: Field("SQ", [code(planter.word("observer", 16), "99H", planter.word("observer"))]),
    }
    one.add(
        _content(planter, "CONTAINER", "root", t0040A730=Field("SQ", tree), t0040A073=Field("SQ", [verifier]))
    )
    one.add({0x0040A372: Field("SQ", [code(planter.word("performed", 16), "L", planter.word("performed"))])})
    one.add(
        {
            0x0040A078: Field(
                "SQ", [{0x0040A084: Field("CS", "PSN"), 0x0040A123: Field("PN", planter.name("author"))}]
            )
        }
    )
    template = {
        0x00080105: Field("CS", planter.plain("MappingResource")),
        0x0040DB00: Field("CS", planter.plain("TemplateIdentifier")),
    }
    one.add(
        {
            0x0040A504: Field("SQ", [template]),
            0x0040A491: Field("CS", "COMPLETE"),
            0x0040A493: Field("CS", "UNVERIFIED"),
        }
    )


def _measured(planter: Planter) -> Dataset:
    units = code(planter.word("units", 16), "UCUM", planter.word("units"))
    return {0x0040A30A: Field("DS", "1.5"), 0x004008EA: Field("SQ", [units]), 0x0040A161: Field("FD", (1.5,))}


def _reference(planter: Planter, where: str) -> Dataset:
    return {0x00081150: Field("UI", CT), 0x00081155: Field("UI", planter.uid(where))}


def selection(one: Instance) -> None:
    planter = one.planter
    one.become(_KOS, "KO")
    text = _content(planter, "TEXT", "KOS description", t0040A160=Field("UT", planter.word("KOS text")))
    image = _content(planter, "IMAGE", "KOS image", t00081199=Field("SQ", [_reference(planter, "KOS image")]))
    series = {
        0x0020000E: Field("UI", planter.uid("KOS series")),
        0x00081199: Field("SQ", [_reference(planter, "KOS evidence")]),
    }
    series[0x00080054] = Field("AE", planter.plain("RetrieveAETitle"))
    series[0x00080081] = Field("ST", planter.word("RetrieveAddress"))
    evidence = {0x0020000D: Field("UI", planter.uid("KOS study")), 0x00081115: Field("SQ", [series])}
    one.add(
        _content(
            planter,
            "CONTAINER",
            "KOS",
            t0040A730=Field("SQ", [text, image]),
            t0040A375=Field("SQ", [evidence]),
        )
    )


PLACES: tuple[Callable[[Instance], None], ...] = (report, selection)
