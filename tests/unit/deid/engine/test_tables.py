import re

import pytest
from pydicom.datadict import tag_for_keyword

from deid.outcome import WithheldReason
from deid.profile import Option
from deid.tables.loader import (
    EDITIONS,
    allowed_text,
    attribute_types,
    bulk_tags,
    coded_terms,
    records,
    safe_private,
    table,
)
from deid.values import VALUE_BYTES
from deid.verdict import standard_rules
from deid.vr import standard_vr

CODES = {"X", "Z", "D", "U", "X/D", "X/Z", "Z/D", "X/Z/D", "X/Z/U*"}


@pytest.mark.parametrize("edition", EDITIONS)
def test_every_row_is_an_action_the_engine_knows(edition):
    rows = table(edition)
    assert len(rows.rows) > 600
    for tag, row in rows.rows.items():
        assert row.basic in CODES, f"{tag:08X}"
        assert set(row.options.values()) <= {"K", "C"}, f"{tag:08X}"
        assert set(row.options) <= {option.column for option in Option} | {"clean-graphics"}, f"{tag:08X}"


def test_the_newer_edition_takes_nothing_back():
    old, new = table("2024b"), table("2026c")
    assert old.rows.keys() < new.rows.keys()
    assert all(new.rows[tag] == row for tag, row in old.rows.items())


@pytest.mark.parametrize("edition", EDITIONS)
def test_repeating_groups_and_private_elements_are_covered(edition):
    rows = table(edition)
    for tag in (0x50000005, 0x50FE3000, 0x60003000, 0x60FE4000, 0x00191001, 0x00090010):
        row = rows.row(tag)
        assert row is not None
        assert row.basic == "X"
    assert rows.row(0x00280010) is None


def test_editions_without_a_table_are_refused():
    with pytest.raises(ValueError, match="2026c"):
        table("1999a")


def test_tables_name_attributes_of_the_standard_with_types_and_vrs_that_fit():
    assert set(attribute_types().values()) == {"1", "1C", "2", "2C", "3", "-"}
    for tag in coded_terms():
        assert tag is None or standard_vr(tag) == "CS"
    for tag in allowed_text():
        assert standard_vr(tag) in {"LO", "SH", "LT", "ST", "UT", "UC", "CS"}
    for tag in bulk_tags():
        assert not set(standard_vr(tag).split(" or ")) & {"UN", "SQ"}


def test_types_are_stated_once_and_for_iods_that_exist():
    iods = {name: uids.split() for name, uids in records("iods.tsv")}
    assert all(uid.startswith("1.2.840.10008.5.1.4.") for uids in iods.values() for uid in uids)
    stated = [
        (keyword, place)
        for keyword, _kind, places in records("attribute_types.tsv")
        for place in places.split()
    ]
    assert len(stated) == len(set(stated))
    assert {place for _keyword, place in stated if place[0] not in "*>"} <= iods.keys()


@pytest.mark.parametrize(
    ("keyword", "where", "kind"),
    [
        ("PatientName", "*", "2"),  # C.7.1.1
        ("Manufacturer", "1.2.840.10008.5.1.4.1.1.2", "2"),  # C.7.5.1
        ("Manufacturer", "*", "1"),  # C.7.5.2, which most IODs have
        ("ContentDate", "1.2.840.10008.5.1.4.1.1.2", "2C"),  # C.7.6.1
        ("DeviceSerialNumber", "1.2.840.10008.5.1.4.1.1.2", "3"),  # C.7.5.1
        ("ConceptNameCodeSequence", f">{tag_for_keyword('ContentSequence'):08X}", "1C"),  # C.17.3
        ("StructureSetLabel", "*", "1"),  # C.8.8.5
    ],
)
def test_types_are_those_of_the_module_tables(keyword, where, kind):
    assert attribute_types()[tag_for_keyword(keyword), where] == kind


def test_terms_are_written_as_code_strings_are():
    for terms in coded_terms().values():
        for term in terms:
            assert re.fullmatch(r"[A-Z0-9 _.,\-+]{1,32}", term), term


def test_safe_private_elements_hold_numbers_or_have_a_form():
    for (creator, group, element), row in safe_private().items():
        assert creator.strip() == creator
        assert group % 2 == 1
        assert 0 <= element <= 0xFF
        if row.is_csa:
            assert (creator, group, row.vr) == ("SIEMENS CSA HEADER", 0x0029, "OB")
        elif row.form is None:
            assert row.vr in VALUE_BYTES or row.vr in {"DS", "IS", "DT"}
        else:
            assert row.vr in {"CS", "SH", "LO"}
            assert not [word for word in ("DOE", "Doe", "19760512", "88205170") if row.form.fullmatch(word)]


def test_pixel_rules_parse_and_know_every_reason_they_give():
    rules = standard_rules()
    assert {rule.outcome for rule in rules} <= {None, *WithheldReason}
    assert any(rule.outcome is None for rule in rules)


def test_sources_are_named():
    for name in ("coding_schemes.tsv", "bulk_attributes.tsv"):
        assert all(line[-1] for line in records(name))
