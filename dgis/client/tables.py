"""Matches as a pandas table: numbers and dates as such."""

from collections.abc import Iterable, Sequence

import pandas as pd

from dgis.client.dicom_json import Row, is_date, is_number


def table(rows: Iterable[Row], columns: Sequence[str]) -> pd.DataFrame:
    """Return a table with these columns first, then whatever else the rows have."""
    found = list(rows)
    named = list(dict.fromkeys([*columns, *(keyword for row in found for keyword in row)]))
    made = pd.DataFrame(found, columns=pd.Index(named))
    for keyword in named:
        if is_date(keyword):
            made[keyword] = pd.to_datetime(made[keyword], format="%Y%m%d", errors="coerce")
        elif is_number(keyword) and not any(isinstance(row.get(keyword), list) for row in found):
            made[keyword] = pd.to_numeric(made[keyword], errors="coerce")
    return made
