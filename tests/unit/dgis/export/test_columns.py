"""Columns of the export follow the catalog's attributes, typed."""

from datetime import date

import pytest

from catalog.attributes import STORED
from catalog.query import Level
from dgis.export.columns import Kind, columns


@pytest.mark.parametrize("level", Level)
def test_every_attribute_of_a_level_is_a_column_once(level):
    names = [column.keyword for column in columns(level)]
    assert len(names) == len(set(names))
    assert {attribute.keyword for attribute in STORED[level]} <= set(names)
    assert names[0] == "PatientID"


@pytest.mark.parametrize(
    ("kind", "found", "value"),
    [
        (Kind.DAY, "20200214", date(2020, 2, 14)),
        (Kind.DAY, "2020", None),
        (Kind.DAY, "", None),
        (Kind.WHOLE, 3, 3),
        (Kind.WHOLE, "", None),
        (Kind.TEXTS, ("CT", "PT"), ["CT", "PT"]),
        (Kind.TEXTS, (), []),
        (Kind.TEXT, "x", "x"),
    ],
)
def test_values_are_typed(kind, found, value):
    column = next(each for level in Level for each in columns(level) if each.kind is kind)
    assert column.value(found) == value
