"""The check of published numbers: it passes what the engine makes, and fails whatever is broken in it."""

import struct
from dataclasses import replace

import pytest

from deid.elements import Encoding, elements
from deid.profile import Profile
from deid.science.check import ScienceCheck
from deid.science.outcome import Failed, Kept
from tests.unit.deid.engine.build import EXPLICIT, dataset, deidentifier, el, pixels

SCIENCE = ("modified-dates", "patient-characteristics", "safe-private")


def fd(*numbers):
    return struct.pack(f"<{len(numbers)}d", *numbers)


def instance(weight="71.5"):
    """An image with something of each topic."""
    injected = el(0x00540016, "SQ", [[el(0x00181074, "DS", "370000000"), el(0x00181075, "DS", "6586.2")]])
    return dataset(
        el(0x00080020, "DA", "20240517"),
        el(0x00080021, "DA", "20240518"),
        el(0x00080032, "TM", "101112.5"),
        el(0x00101030, "DS", weight),
        el(0x00180050, "DS", "2.5"),
        el(0x00189087, "FD", fd(1000.0)),
        el(0x00190010, "LO", "SIEMENS MR HEADER"),
        el(0x0019100C, "IS", "800"),
        el(0x00200032, "DS", "-100.5\\20\\30"),
        el(0x00200037, "DS", "1\\0\\0\\0\\1\\0"),
        el(0x00200052, "UI", "1.2.276.111.9"),
        el(0x00280030, "DS", "0.75\\0.75"),
        el(0x00281050, "DS", "40"),
        el(0x00281052, "DS", "-1024"),
        el(0x00281053, "DS", "1.5"),
        el(0x00281101, "US", struct.pack("<3H", 256, 0, 16)),
        el(0x00281201, "OW", bytes(range(64))),
        injected,
        el(0x00620002, "SQ", [[el(0x00620004, "US", struct.pack("<H", 3))]]),
        el(0x3004000E, "DS", "0.0001"),
        *pixels([1, 2, 3, 4]),
    )


def checked(form, *options, data=None):
    check = ScienceCheck(Profile.named("basic", options))
    return check.check(instance() if data is None else data, EXPLICIT, form)


def published(*options):
    return deidentifier(*options).deidentify(instance(), EXPLICIT, "1.2.3")


def test_what_the_options_keep_is_kept_and_nothing_is_said_to_be_removed():
    told = checked(published(*SCIENCE), *SCIENCE)
    assert isinstance(told, Kept)
    assert not any("SUV" in words or "b-value" in words for words in told.removed)


def test_what_options_remove_is_told_in_words_and_is_no_reason_to_seal():
    told = checked(published("modified-dates"), "modified-dates")
    assert isinstance(told, Kept)
    assert "no SUV: weight removed (patient-characteristics keeps it)" in told.removed
    assert "private attributes removed (safe-private keeps it)" in told.removed


def test_times_cut_down_to_the_hour_are_told():
    options = ("modified-dates", "coarse-times")
    told = checked(published(*options), *options)
    assert isinstance(told, Kept)
    assert "times to the hour: no dynamic timing (without coarse-times keeps it)" in told.removed


@pytest.mark.parametrize(
    ("tag", "vr", "broken"),
    [
        pytest.param(0x00280030, "DS", "0.75\\0.76", id="spacing"),
        pytest.param(0x00200037, "DS", "1\\0\\0\\0\\0\\1", id="orientation"),
        pytest.param(0x00200032, "DS", "-100.5\\20\\31", id="position"),
        pytest.param(0x00281052, "DS", "-1000", id="intercept"),
        pytest.param(0x00281053, "DS", "1.6", id="slope"),
        pytest.param(0x00281050, "DS", "41", id="window"),
        pytest.param(0x00189087, "FD", fd(900.0), id="b-value"),
        pytest.param(0x0019100C, "IS", "900", id="private b-value"),
        pytest.param(0x00101030, "DS", "70", id="weight"),
        pytest.param(0x3004000E, "DS", "0.0002", id="dose scaling"),
        pytest.param(0x00281201, "OW", bytes(64), id="palette"),
        pytest.param(0x00080032, "TM", "101113.5", id="time"),
        pytest.param(0x00080020, "DA", "20200101", id="date difference"),
        pytest.param(0x0020000D, "UI", "2.25.1", id="UID of another"),
        pytest.param(0x00620002, "SQ", [[el(0x00620004, "US", struct.pack("<H", 4))]], id="segment"),
        pytest.param(0x00620002, "SQ", [[], []], id="items"),
        pytest.param(0x00280010, "US", struct.pack("<H", 3), id="rows"),
        pytest.param(0x00180050, "DS", None, id="thickness lost"),
        pytest.param(0x00281101, "US", None, id="palette descriptor lost"),
        pytest.param(0x00189087, "FD", None, id="b-value lost"),
    ],
)
def test_whatever_is_broken_fails(tag, vr, broken):
    form = published(*SCIENCE)
    told = checked(replace(form, before=with_element(form.before, tag, vr, broken)), *SCIENCE)
    if tag == 0x0020000D:  # one instance alone cannot show it: the next one does
        check = ScienceCheck(Profile.named("basic", SCIENCE))
        assert isinstance(check.check(instance(), EXPLICIT, form), Kept)
        told = check.check(
            instance(), EXPLICIT, replace(form, before=with_element(form.before, tag, vr, broken))
        )
    assert isinstance(told, Failed)
    assert "71.5" not in told.reason


def test_a_series_is_checked_like_its_first_instance():
    check, engine = ScienceCheck(Profile.named("basic", SCIENCE)), deidentifier(*SCIENCE)
    for weight in ("71.5", "71.6", "71.7"):
        data = instance(weight)
        assert isinstance(check.check(data, EXPLICIT, engine.deidentify(data, EXPLICIT, "1.2.3")), Kept)
    data = instance("71.8")
    form = engine.deidentify(data, EXPLICIT, "1.2.3")
    broken = with_element(form.before, 0x00280030, "DS", "9\\9")
    assert isinstance(check.check(data, EXPLICIT, replace(form, before=broken)), Failed)
    assert isinstance(check.check(data, EXPLICIT, form), Kept)


def test_a_bulk_value_that_science_does_not_need_may_be_replaced():
    stamped = dataset(el(0x00340007, "OB", b"KANARIE174"))  # Frame Origin Timestamp: no time, must be filled
    form = deidentifier("modified-dates").deidentify(stamped, EXPLICIT, "1.2.3")
    told = checked(form, "modified-dates", data=stamped)
    assert isinstance(told, Kept), told
    other = with_element(form.before, 0x00340007, "OB", b"KANARIE175")
    assert isinstance(checked(replace(form, before=other), "modified-dates", data=stamped), Failed)


def test_a_rescale_type_nobody_knows_is_no_reason_to_seal():
    scaled = dataset(
        el(0x00281052, "DS", "0"), el(0x00281053, "DS", "1"), el(0x00281054, "LO", "mGy/KANARIE")
    )
    form = deidentifier("modified-dates").deidentify(scaled, EXPLICIT, "1.2.3")
    assert isinstance(checked(form, "modified-dates", data=scaled), Kept)
    other = with_element(form.before, 0x00281054, "LO", "OD")
    assert isinstance(checked(replace(form, before=other), "modified-dates", data=scaled), Failed)


def with_element(header, tag, vr, value):
    """The header with one element replaced, or left out where the value is None."""

    parts = []
    found = False
    for one in elements(header, Encoding.EXPLICIT_LE):
        raw = header[one.start : one.end]
        if one.tag == tag:
            found = True
            raw = b"" if value is None else el(tag, vr, value)
        parts.append(raw)
    assert found
    return b"".join(parts)
