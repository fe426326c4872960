import struct
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deid.values import (
    are_numbers,
    capped_age,
    count_fits,
    little_endian,
    plain_text,
    shifted_date,
    shifted_date_time,
    valid_time,
)


@given(st.dates(date(1900, 1, 1), date(2200, 1, 1)), st.integers(0, 3650))
def test_dates_move_back_by_whole_days(day, days):
    moved = day - timedelta(days=days)
    assert shifted_date(f"{day:%Y%m%d}", days) == f"{moved.year:04}{moved:%m%d}"
    assert shifted_date_time(f"{day:%Y%m%d}235960.123456+0100", days).startswith(
        f"{moved.year:04}{moved:%m%d}"
    )


@pytest.mark.parametrize("text", ["", "2020", "20200230", "2020-01-01", "20201301", "DOE^JANE", "00010101"])
def test_what_is_no_date_is_not_moved(text):
    assert shifted_date(text, 10) is None


def test_old_dates_come_out_in_todays_form():
    assert shifted_date("2020.03.01", 1) == "20200229"


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        ("2020", "2019"),
        ("202003", "202002"),
        ("20200301", "20200229"),
        ("20200301120000.5", "20200229120000.5"),
        ("20200301120000+0100", "20200229120000+0100"),
        ("2020030112000", None),
        ("20200301JANE", None),
    ],
)
def test_date_times_keep_their_precision(text, moved):
    assert shifted_date_time(text, 1) == moved


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("12", "12"),
        ("235960.123456", "235960.123456"),
        ("12:30:59", "123059"),
        ("250000", None),
        ("DOE", None),
    ],
)
def test_times_are_times(text, kept):
    assert valid_time(text) == kept


@pytest.mark.parametrize(
    ("text", "kept"),
    [("12", "12"), ("1259", "1200"), ("235960.123456", "230000"), ("12:30:59.5", "120000"), ("DOE", None)],
)
def test_coarse_times_are_full_hours_in_the_precision_they_came_in(text, kept):
    assert valid_time(text, coarse=True) == kept
    both = None if kept is None else f"20200229{kept}-0500"
    assert shifted_date_time(f"20200301{text.replace(':', '')}-0500", 1, coarse=True) == both


@pytest.mark.parametrize(
    ("age", "kept"),
    [("045Y", "045Y"), ("089Y", "089Y"), ("090Y", "090Y"), ("103Y", "090Y"), ("999M", "999M"), ("45Y", None)],
)
def test_ages_of_90_and_above_are_one(age, kept):
    assert capped_age(age) == kept


@pytest.mark.parametrize("raw", [b"", b" 1.5 ", b"-1e-3\\2", b"1\\\\3", b".5", b"12345678901234567890"])
def test_decimal_strings_are_numbers(raw):
    assert are_numbers("DS", raw)


@pytest.mark.parametrize("raw", [b"DOE", b"1.5 JANE", b"1,5", b"--1", b"\xb9", b"1" * 40])
def test_a_name_is_no_decimal_string(raw):
    assert not are_numbers("DS", raw)


def test_integers_have_no_point():
    assert are_numbers("IS", b"1\\-2 ")
    assert not are_numbers("IS", b"1.0")


def test_value_counts_follow_the_dictionary():
    assert count_fits(0x00280010, 1)
    assert not count_fits(0x00280010, 2)  # Rows is one number
    assert count_fits(0x30060050, 3_000)  # ContourData is any number of triples


def test_only_printable_ascii_is_plain():
    assert plain_text(b" CT \0") == "CT"
    for raw in (b"M\xfcller", b"\x1b$B;3", b"a\nb", "山田".encode()):
        assert plain_text(raw) is None


@given(st.lists(st.integers(0, 65535)))
def test_big_endian_words_are_turned_round(numbers):
    raw = struct.pack(f">{len(numbers)}H", *numbers)
    assert little_endian("US", raw) == struct.pack(f"<{len(numbers)}H", *numbers)
    assert little_endian("LO", raw) == raw
