import itertools

import pytest

from deid.profile import Option, Profile, ProfileError


def test_modified_dates_are_the_default():
    assert Profile() == Profile.named("basic", ["modified-dates"])


@pytest.mark.parametrize(
    ("profile", "options"),
    [
        ("basic", ["full-dates", "modified-dates"]),
        ("basic", ["coarse-times", "device-identity"]),
        ("basic", ["retain-everything"]),
        ("none", []),
    ],
)
def test_what_cannot_be_is_refused_and_both_are_named(profile, options):
    with pytest.raises(ProfileError) as refused:
        Profile.named(profile, options)
    named = options[:1] if "coarse-times" in options else options
    assert not [name for name in named if name not in str(refused.value)]


def test_every_option_of_the_standard_goes_with_every_other_but_for_the_two_on_dates():
    both = {Option.FULL_DATES, Option.MODIFIED_DATES}
    for one, other in itertools.combinations(Option, 2):
        if {one, other} == both:
            continue
        assert Profile.named("basic", [one.column, other.column]).options == {one, other}
    everything = [option.column for option in Option if option is not Option.FULL_DATES]
    assert Profile.named("basic", [*everything, "coarse-times"]).coarse_times


def test_an_edition_without_a_table_is_refused():
    with pytest.raises(ProfileError):
        Profile.named("basic", [], edition="1999a")


def test_options_replace_the_basic_action():
    plain, dated = Profile.named("basic", []), Profile.named("basic", ["modified-dates"])
    assert plain.rule(0x00080020).code == "Z"
    assert (dated.rule(0x00080020).code, dated.rule(0x00080020).option) == ("C", Option.MODIFIED_DATES)
    assert Profile.named("basic", ["full-dates"]).rule(0x00080020).code == "K"
    assert dated.rule(0x00100030).code == "Z"  # the birth date goes whatever happens to other dates
    assert dated.rule(0x00280010) is None


def test_where_options_disagree_the_cleaning_one_wins():
    # BeamHoldTransitionDateTime: device identity keeps it, modified dates cleans it.
    both = Profile.named("basic", ["device-identity", "modified-dates"])
    assert (both.rule(0x300C0127).code, both.rule(0x300C0127).option) == ("C", Option.MODIFIED_DATES)
