import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgis.sessions.origin import is_ours, local_path, origin_of

OURS = {"https://grid.example"}


@pytest.mark.parametrize(
    ("fields", "ours"),
    [
        ({"sec-fetch-site": "same-origin"}, True),
        ({"origin": "https://grid.example"}, True),
        ({"sec-fetch-site": "cross-site", "origin": "https://grid.example"}, False),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "none"}, False),
        ({"origin": "https://grid.example.evil"}, False),
        ({"origin": "http://grid.example"}, False),
        ({"origin": "null"}, False),
        ({}, False),
    ],
)
def test_a_request_is_ours_where_the_browser_says_so(fields, ours):
    assert is_ours(fields, OURS) is ours


@given(st.text(max_size=40) | st.from_regex(r"[/\\.:@a-z]{0,12}", fullmatch=True))
def test_whatever_is_asked_for_the_way_back_stays_here(path):
    back = local_path(path, "/login")
    assert back == "/login" or (back == path and back.startswith("/"))
    assert not back.startswith(("//", "/\\"))
    assert origin_of(f"https://grid.example{back}") == "https://grid.example"
