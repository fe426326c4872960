import pytest

from catalog import text


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ("20240131", "20240131"),
        ("2024.01.31", "20240131"),
        (" 20240131 ", "20240131"),
        ("20241301", ""),
        ("20240132", ""),
        ("2024", ""),
        ("", ""),
        ("20240131x", ""),
    ],
)
def test_dates(value, stored):
    assert text.date(value) == stored


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ("10", "10"),
        ("1015", "1015"),
        ("101500", "101500"),
        ("101500.5", "101500.5"),
        ("101500.1234567", "101500.123456"),
        ("10:15:00", "101500"),
        ("10:15", "1015"),
        ("235960", "235960"),
        ("2400", ""),
        ("1060", ""),
        ("1", ""),
        ("10150", ""),
        ("noon", ""),
    ],
)
def test_times(value, stored):
    assert text.time(value) == stored


@pytest.mark.parametrize(
    ("name", "folded"),
    [
        ("SMITH^JOHN", ("smith^john", "", "")),
        ("Smith^John^^^", ("smith^john", "", "")),
        (" Smith ^ John  Paul ", ("smith^john paul", "", "")),
        ("Stra\u00dfe^J\u00f6rg", ("strasse^j\u00f6rg", "", "")),
        (
            "Yamada^Tarou=\u5c71\u7530^\u592a\u90ce=\u3084\u307e\u3060^\u305f\u308d\u3046",
            ("yamada^tarou", "\u5c71\u7530^\u592a\u90ce", "\u3084\u307e\u3060^\u305f\u308d\u3046"),
        ),
        ("=\u5c71\u7530", ("", "\u5c71\u7530", "")),
        ("\uff76\uff85", ("\u30ab\u30ca", "", "")),
        ("A=B=C=D", ("a", "b", "c")),
        ("", ("", "", "")),
    ],
)
def test_names_fold_to_three_groups(name, folded):
    assert text.groups(name) == folded


def test_words_lose_accents_and_delimiters():
    assert text.words("M\u00fcller-L\u00fcdenscheidt^Jos\u00e9=\u5c71\u7530^\u592a\u90ce") == (
        "muller",
        "ludenscheidt",
        "jose",
        "\u5c71\u7530",
        "\u592a\u90ce",
    )


def test_cleaned_text_is_bounded_and_holds_no_control_character():
    assert text.clean(" a\x00b\x1fc ") == "abc"
    assert len(text.clean("x" * 5000)) == text.MAX_CHARACTERS
    assert text.prose("line\r\nline\x00  ") == "line\r\nline"
