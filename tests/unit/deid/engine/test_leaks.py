import pytest
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset

from deid.profile import Option
from tests.unit.deid.engine.build import (
    BIG_ENDIAN,
    EXPLICIT,
    IMPLICIT,
    OTHER_SECRETS,
    dataset,
    deidentifier,
    el,
    published,
)
from tests.unit.deid.engine.planted import (
    CHARSETS,
    IDENTIFYING,
    SEQUENCE,
    UNLISTED,
    forms,
    leaks,
    plant,
    private,
)

BOTH = [pytest.param(IDENTIFYING, id="table"), pytest.param(UNLISTED, id="unlisted")]
OPTIONS = [
    [],
    ["modified-dates"],
    ["modified-dates", "patient-characteristics", "safe-private", "clean-descriptors"],
    ["modified-dates", "clean-structured-content"],
]


def hunt(planted, *options):
    form = published(planted.data, planted.syntax, deidentifier(*options) if options else None)
    output = form.before + form.after
    assert leaks(output, planted.canaries) == []
    return output


def parsed(output):
    return read_dataset(DicomBytesIO(output), is_implicit_VR=False, is_little_endian=True)


def test_the_hunt_finds_what_is_there():
    for form in forms(b"BCDFGHJKLM"):
        assert leaks(b"..." + form + b"...", [b"BCDFGHJKLM"]) == [b"BCDFGHJKLM"]
    planted = plant(IDENTIFYING, 1)
    assert len(planted.canaries) > 500
    assert len(leaks(planted.data, planted.canaries)) == len(planted.canaries)


@pytest.mark.parametrize("attributes", BOTH)
@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG_ENDIAN])
@pytest.mark.parametrize("depth", [0, 1, 12])
def test_nothing_planted_in_any_attribute_comes_out(attributes, syntax, depth):
    output = hunt(plant(attributes, f"{syntax}{depth}", depth=depth, syntax=syntax))
    for one in parsed(output).iterall():
        assert one.tag.group % 2 == 0


@pytest.mark.parametrize("attributes", BOTH)
@pytest.mark.parametrize("options", OPTIONS, ids="+".join)
def test_options_let_nothing_unseen_through(attributes, options):
    form = published(plant(attributes, 7, depth=1).data, engine=deidentifier(*options))
    assert leaks(form.before + form.after, plant(attributes, 7, depth=1).canaries) == []


@pytest.mark.parametrize("attributes", BOTH)
@pytest.mark.parametrize("depth", [0, 3])
def test_known_tags_carried_as_un_are_recognised(attributes, depth):
    hunt(plant(attributes, 11, depth=depth, as_un=True))


@pytest.mark.parametrize("attributes", BOTH)
def test_sequences_of_undefined_length_hide_nothing(attributes):
    hunt(plant(attributes, 13, depth=0, undefined=True))


@pytest.mark.parametrize("depth", [0, 1, 5])
def test_private_elements_go_at_every_depth(depth):
    planted = private(17, depth=depth)
    hunt(planted)
    hunt(planted, "modified-dates", "safe-private")


def test_unknown_public_elements_go():
    hidden = [el(0x00109999, "LO", "BCDFGHJKLM"), el(0x01000010, "UN", "BCDFGHJKLM")]
    form = published(dataset(*hidden, el(SEQUENCE, "SQ", [hidden])))
    assert leaks(form.before, [b"BCDFGHJKLM"]) == []


@pytest.mark.parametrize("charset", CHARSETS)
def test_names_of_every_character_set_go(charset):
    name = CHARSETS[charset]
    planted = dataset(
        el(0x00080005, "CS", charset),
        *(el(tag, vr, name) for tag, vr in [*IDENTIFYING, *UNLISTED] if vr in {"PN", "LO", "SH", "UT", "CS"}
          and tag not in {0x00080005, 0x00080060}),
        el(SEQUENCE, "SQ", [[el(0x00080005, "CS", charset), el(0x00204000, "LT", name)]]),
    )  # fmt: skip
    output = published(planted).before
    assert name not in output
    assert output.isascii() or all(byte < 0x80 or byte >= 0 for byte in output)
    assert 0x00080005 not in parsed(output)


def test_the_same_patient_is_the_same_in_every_character_set():
    latin = dataset(el(0x00080005, "CS", "ISO_IR 100"), el(0x00100020, "LO", "Mü".encode("latin_1")))
    utf = dataset(el(0x00080005, "CS", "ISO_IR 192"), el(0x00100020, "LO", "Mü".encode()))
    assert published(latin).patient_key == published(utf).patient_key


def test_curves_overlays_groups_lengths_signatures_and_padding_go():
    canary = "BCDFGHJKLM"
    planted = dataset(
        el(0x00080000, "UL", b"\x10\0\0\0"),
        el(0x50000005, "US", canary), el(0x50003000, "OW", canary),
        el(0x60000022, "LO", canary), el(0x60001500, "LO", canary), el(0x60003000, "OW", canary * 3),
        el(0x00880200, "SQ", [[el(0x7FE00010, "OW", canary)]]),
        el(0x04000500, "SQ", [[el(0x04000520, "OB", canary)]]),
        el(0x04000561, "SQ", [[el(0x04000550, "SQ", [[el(0x00100010, "PN", canary)]])]]),
        el(0xFFFAFFFA, "SQ", [[el(0x04000120, "OB", canary)]]),
        el(0xFFFCFFFC, "OB", canary),
    )  # fmt: skip
    form = published(planted)
    assert leaks(form.before + form.after, [canary.encode()]) == []
    tags = {int(one.tag) for one in parsed(form.before)}
    assert not {tag for tag in tags if tag & 0xFFFF == 0 or tag >> 16 in {0x5000, 0x6000, 0xFFFA, 0xFFFC}}


def test_a_second_element_of_a_tag_and_elements_out_of_order_hide_nothing():
    twice = dataset() + el(0x00100010, "PN", "BCDFGHJKLM") + el(0x00104000, "LT", "BCDFGHJKLM")
    form = published(twice)
    assert leaks(form.before, [b"BCDFGHJKLM"]) == []
    tags = [int(one.tag) for one in parsed(form.before)]
    assert tags == sorted(set(tags))


def test_every_vr_that_lies_about_itself_is_distrusted():
    for vr in ("UT", "LO", "OB", "UN", "PN", "FD"):
        form = published(dataset(el(0x00280030, vr, "BCDFGHJKLM"), el(0x00181151, vr, "BCDFGHJKLM")))
        assert leaks(form.before, [b"BCDFGHJKLM"]) == []


def test_two_secrets_have_nothing_in_common():
    planted = plant(IDENTIFYING, 23)
    mine = parsed(published(planted.data).before)
    theirs = parsed(published(planted.data, engine=deidentifier(secrets=OTHER_SECRETS)).before)
    for tag in (
        0x00080018,
        0x0020000D,
        0x0020000E,
        0x00200052,
        0x00100010,
        0x00100020,
        0x00080050,
        0x00200010,
    ):
        assert mine[tag].value != theirs[tag].value
    assert mine.StudyDate != theirs.StudyDate


def test_every_option_has_a_column_or_a_reason():
    for option in Option:
        hunt(plant([(0x00100010, "PN"), (0x00104000, "LT")], 29), option.column)
