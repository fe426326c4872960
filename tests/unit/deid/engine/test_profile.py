import pytest

from deid.profile import Option, Profile, ProfileError


def test_modified_dates_are_the_default():
    assert Profile() == Profile.named("basic", ["modified-dates"])


@pytest.mark.parametrize(
    ("profile", "options"),
    [("basic", ["full-dates", "modified-dates"]), ("basic", ["retain-everything"]), ("none", [])],
)
def test_what_cannot_be_is_refused(profile, options):
    with pytest.raises(ProfileError):
        Profile.named(profile, options)


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
