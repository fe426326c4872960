import pytest

from catalog.attributes import ATTRIBUTES, DOOR_KEYS, STORED, UNIQUE_KEYS, Kind, supported
from catalog.query import Level
from catalog.tables import DEID, PHI, folded_columns

# PS3.4 tables C.6-1, C.6-2, C.6-3 and C.6-5: unique and required keys.
REQUIRED = {
    Level.PATIENT: ("PatientID", "PatientName"),
    Level.STUDY: ("StudyDate", "StudyTime", "AccessionNumber", "StudyID", "StudyInstanceUID"),
    Level.SERIES: ("Modality", "SeriesNumber", "SeriesInstanceUID"),
    Level.IMAGE: ("InstanceNumber", "SOPInstanceUID"),
}


@pytest.mark.parametrize("level", Level)
def test_every_required_key_is_matched(level):
    for keyword in REQUIRED[level]:
        attribute = ATTRIBUTES[keyword]
        assert attribute.level is level
        assert attribute.kind is not Kind.RETURNED
    assert UNIQUE_KEYS[level] in REQUIRED[level]


@pytest.mark.parametrize("attribute", ATTRIBUTES.values(), ids=ATTRIBUTES)
def test_each_row_of_the_table_holds_together(attribute):
    assert ATTRIBUTES[attribute.keyword] is attribute
    assert attribute.keyword not in DOOR_KEYS
    assert attribute.number == (attribute.vr in {"IS", "US"})
    stored = attribute in STORED[attribute.level]
    assert stored != attribute.computed
    for family in (PHI, DEID):
        columns = family.table(attribute.level).c
        assert not stored or all(name in columns for name in (attribute.column, *folded_columns(attribute)))
    for level in Level:
        beneath = attribute.level.depth <= level.depth
        assert supported(attribute.keyword, level) is (attribute if beneath else None)


def test_no_two_attributes_share_a_tag_or_a_column():
    assert len({attribute.tag for attribute in ATTRIBUTES.values()}) == len(ATTRIBUTES)
    for level in Level:
        names = [attribute.column for attribute in STORED[level]]
        assert len(set(names)) == len(names)


def test_both_families_have_the_same_columns_save_what_only_originals_have():
    only = {"sha256", "received_ms", "location", "withheld_reason"}
    for level in Level:
        original, released = (set(family.table(level).c.keys()) for family in (PHI, DEID))
        assert original - released <= only
        assert released - original <= {"published_ms"}
