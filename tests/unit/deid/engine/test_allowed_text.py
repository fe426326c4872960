"""What is let through of free text: nothing that has the shape of a record number, a date or a name."""

import random
from string import ascii_uppercase, digits

import pytest

from deid.codes import known_code
from deid.tables.loader import allowed_text

NUMBER_SHAPES = (
    *(
        "######",
        "########",
        "##########",
        "A#######",
        "MRN######",
        "####-####",
        "###-##-####",
        "+49 30 #######",
    ),
    *("A####-#####", "V## ###-###", "### ### ####", "###/######", "19######", "20######", "B#######"),
)
DATE_SHAPES = (
    *("19##-06-08", "19##.06.08", "08.06.19##", "06/08/19##", "6/8/##", "20##/12/01", "01-02-##"),
    *("08.06.##", "31.12.##", "##.06.08"),
)
# Letters and digits as they are drawn for record numbers, samples and accessions.
DRAWN = {
    "eight hexadecimal digits": ("0123456789abcdef", 8, 0),
    "twelve hexadecimal digits": ("0123456789abcdef", 12, 0),
    "sixteen hexadecimal digits": ("0123456789abcdef", 16, 0),
    "seven letters and digits": (ascii_uppercase + digits, 7, 0),
    "eight letters and digits": (ascii_uppercase + digits, 8, 0),
    "ten letters and digits": (ascii_uppercase + digits, 10, 0),
    "two groups": (ascii_uppercase + digits, 8, 4),
    "three groups": (ascii_uppercase + digits, 9, 3),
}


def numbers(shape, count=40):
    draw = random.Random(shape)
    for _ in range(count):
        yield "".join(draw.choice("0123456789") if letter == "#" else letter for letter in shape)


@pytest.mark.parametrize("shape", [*NUMBER_SHAPES, *DATE_SHAPES])
def test_no_attribute_may_say_a_record_number_or_a_date(shape):
    values = list(numbers(shape))
    let_through = {
        (f"{tag:08X}", value)
        for tag, allowed in allowed_text().items()
        for value in values
        if allowed.allows(value)
    }
    assert let_through == set()


def drawn(shape, count=250):
    letters, size, group = DRAWN[shape]
    draw = random.Random(shape)
    for _ in range(count):
        text = "".join(draw.choices(letters, k=size))
        yield "-".join(text[at : at + group] for at in range(0, size, group)) if group else text


@pytest.mark.parametrize("shape", DRAWN)
def test_no_attribute_may_say_what_was_drawn(shape):
    """By chance one of thousands has the shape of a version; many of them are no chance."""
    values = list(drawn(shape))
    let_through = {
        f"{tag:08X}": found
        for tag, allowed in allowed_text().items()
        if len(found := [value for value in values if allowed.allows(value)]) > 1
    }
    assert let_through == {}


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        (0x00080070, "GE MEDICAL SYSTEMS"),
        (0x00081090, "MRT50H1"),
        (0x00081090, "CX50"),
        (0x00081090, "ADC_5156"),
        (0x00081090, "Eclipse 1.5T"),
        (0x00180024, "*tir2d1rr16"),
        (0x00180024, "*ep_b1000#4"),
        (0x00180024, "*fl2d1_v250in"),
        (0x00181020, "syngo MR E11"),
        (0x00181020, "syngo MR 2004V 4VB11D"),
        (0x00181020, "V3.51*P25"),
        (0x00181020, "dm09_hl2sp1.23"),
        (0x00181020, "06MW03.5"),
        (0x00181020, "VIA5.2"),
        (0x00181020, "51.80.108.010"),
        (0x00181020, "5.3.0.3"),
        (0x00181250, "HeadNeck_20_TCS"),
        (0x00181250, "SENSE_HEAD_8"),
        (0x00181250, "32Ch Head"),
        (0x00181020, "DV26.0_R03_1831.b"),
        (0x00541101, "measured,, 0.096000 cm-1,"),
        (0x00181250, "HEAD 24"),
    ],
)
def test_what_consoles_write_stays(tag, value):
    assert allowed_text()[tag].allows(value)


@pytest.mark.parametrize("name", ["ANNA", "HANS", "Nadal", "Mann", "Wald", "Wang", "HART", "Amal"])
@pytest.mark.parametrize("scheme", ["UCUM", "IBSI", "NEU", "MDC", "RADLEX", "DCM", "SCT", "LN", "UMLS"])
def test_no_name_is_a_code(scheme, name):
    assert known_code(scheme, name) is None


@pytest.mark.parametrize(
    "units",
    ["mm", "cm2", "g/ml{SUVbw}", "{SUVbw}g/ml", "/min", "mm[Hg]", "10*-6.mm2/s", "[hnsf'U]", "{H.B.}/min"],
)
def test_units_are_codes(units):
    assert known_code("UCUM", units) is not None
