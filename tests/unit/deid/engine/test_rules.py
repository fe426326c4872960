"""Rules on pixels: what a line of a rule file states, and which instances it is about."""

import pytest

from deid.outcome import WithheldReason
from deid.pixel_decision import DecidedBy, PixelDecision
from deid.rectangles import Rectangle
from deid.verdict import RuleError, Shown, parse_rule, parse_rules, standard_rules, verdict

US_CLASS = "1.2.840.10008.5.1.4.1.1.6.1"
ULTRASOUND = Shown(
    sop_class=US_CLASS,
    modality="US",
    image_type=("ORIGINAL", "PRIMARY"),
    burned_in="YES",
    samples="3",
    manufacturer="Acme Medical",
    model="Sonoscape 9000",
    software=("2.1", "FW 7"),
    size="600x800",
)


def rule(text):
    return parse_rule(text.replace(" | ", "\t").split("\t"))


def rules(*texts):
    return list(parse_rules(text.replace(" | ", "\t") for text in texts))


def test_a_rule_of_six_fields_is_what_it_always_was():
    old = rule("publish | 1.2.840.10008.5.1.4.1.1.6* | US | * | * | *")
    assert old.outcome is None
    assert old.matches(ULTRASOUND)
    assert rule("RISKY_MODALITY | * | US | * | YES | 3").outcome is WithheldReason.RISKY_MODALITY


@pytest.mark.parametrize(
    ("manufacturer", "model", "software", "size", "fits"),
    [
        ("*", "*", "*", "*", True),
        ("acme*", "*", "*", "*", True),
        ("ACME MEDICAL", "sonoscape ?000", "*", "600x800", True),
        ("*", "*", "fw [67]", "*", True),
        ("*", "*", "2.1", "*", True),
        ("*", "*", "2", "*", False),
        ("acme", "*", "*", "*", False),
        ("*", "*", "*", "800x600", False),
        ("other*", "*", "*", "*", False),
    ],
)
def test_a_device_is_matched_by_shell_patterns_whatever_the_case(manufacturer, model, software, size, fits):
    made = rule(f"publish | * | US | * | * | * | {manufacturer} | {model} | {software} | {size}")
    assert made.matches(ULTRASOUND) is fits


def test_a_device_that_says_nothing_of_itself_fits_no_pattern_but_the_star():
    nameless = Shown(US_CLASS, "US", ("ORIGINAL",), "", "3")
    assert not rule("publish | * | US | * | * | * | acme*").matches(nameless)
    assert rule("publish | * | US | * | * | * | *").matches(nameless)


def test_a_rule_names_rectangles_for_a_size():
    made = rule("blank 0,0,800x40 700,560,100x40 | * | US | * | * | * | Acme* | * | * | 600x800")
    assert made.outcome == PixelDecision(
        DecidedBy.RULE, (Rectangle(0, 0, 800, 40), Rectangle(700, 560, 100, 40))
    )
    assert verdict(ULTRASOUND, [made, *standard_rules()]) == made.outcome


def test_a_rule_keeps_the_regions_alone():
    assert rule("keep-regions | * | US | * | * | *").outcome == PixelDecision(
        DecidedBy.RULE, regions_only=True
    )


def test_the_first_rule_that_fits_decides_and_what_none_names_is_withheld():
    site = rules("publish | * | US | * | * | *", "RISKY_MODALITY | * | US | * | * | *")
    assert verdict(ULTRASOUND, site) is None
    assert verdict(ULTRASOUND, rules("publish | * | CT | * | * | *")) is WithheldReason.UNKNOWN_SOP_CLASS
    assert verdict(ULTRASOUND, standard_rules()) is WithheldReason.DECLARED_BURNED_IN


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("publish | * | US | * | *", "six to ten fields, divided by tabs; here are 5"),
        ("publish * US * * *", "here are 1"),
        ("publish" + " | *" * 10, "here are 11"),
        ("publsh | * | US | * | * | *", "'publsh' is no verdict on pixels; there are publish, blank"),
        ("publish | US | * | * | * | *", "'US' is no SOP class UID"),
        ("publish | * | US | * | * | three", "'three' is no number of samples"),
        ("blank 0,0,9x9 | * | US | * | * | *", "tenth field says ROWSxCOLUMNS"),
        ("blank | * | US | * | * | * | * | * | * | 600x800", "followed by rectangles"),
        ("blank 0,0,9 | * | US | * | * | * | * | * | * | 600x800", "X,Y,WIDTHxHEIGHT"),
        ("blank 800,0,9x9 | * | US | * | * | * | * | * | * | 600x800", "lies beside an image of 600x800"),
        ("publish | * | US | * | * | * | * | * | * | 600 x 800", "no size of an image"),
    ],
)
def test_a_line_that_states_no_rule_is_named_with_what_would_be_right(line, words):
    with pytest.raises(RuleError) as refused:
        rules("# a comment", "", "publish | * | CT | * | * | *", line)
    assert str(refused.value).startswith("line 4: ")
    assert words in str(refused.value)
