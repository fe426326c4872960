import base64
import os

import pytest

from tests.canary import Hunt, forms

VALUE = "Kanarienvogel^Žofie"


@pytest.mark.parametrize("place", [0, 1, 5, 4093, 65530])
@pytest.mark.parametrize(("form", "name"), list(forms(VALUE).items()), ids=list(forms(VALUE).values()))
def test_every_form_is_found_at_any_place(place, form, name):
    noise = os.urandom(65536)
    assert Hunt([VALUE]).find(noise[:place] + form + noise[place:]) == {(VALUE, name)}


@pytest.mark.parametrize("before", range(6))
@pytest.mark.parametrize("after", range(4))
def test_base64_is_found_at_each_alignment(before, after):
    text = base64.b64encode(b"x" * before + b"1.2.826.0.1.3680043.8" + b"y" * after)
    assert {value for value, _ in Hunt(["1.2.826.0.1.3680043.8"]).find(text)} == {"1.2.826.0.1.3680043.8"}


def test_nothing_is_found_where_nothing_is():
    values = [f"1.2.3.4.{number}" for number in range(5000)]
    assert Hunt(values).find(b"1.2.3.5." * 100 + bytes(1000)) == set()
    assert Hunt(values).find(b"") == set()


def test_values_across_the_border_of_two_chunks_are_found(monkeypatch):
    monkeypatch.setattr("tests.canary._CHUNK", 64)
    for place in range(50, 70):
        data = b"." * place + b"19470229" + b"." * 100
        assert Hunt(["19470229"]).find(data) == {("19470229", "utf-8")}
