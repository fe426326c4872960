"""What is let through of free text: nothing that has the shape of a record number, a date or a name."""

import random

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
DATE_SHAPES = ("19##-06-08", "19##.06.08", "08.06.19##", "06/08/19##", "6/8/##", "20##/12/01", "01-02-##")


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


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        (0x00181020, "syngo MR E11"),
        (0x00181020, "5.3.0.3"),
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
