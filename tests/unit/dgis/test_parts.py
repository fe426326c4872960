import pytest

from dgis import parts, settings


@pytest.fixture
def configuration(tmp_path):
    return settings.load(home=tmp_path)


def test_the_first_start_makes_the_keys_of_the_embedded_default(configuration):
    assert parts.first_start_makes_keys(configuration)
    parts.open_keys(configuration)
    assert not parts.first_start_makes_keys(configuration)


def test_a_first_start_that_a_crash_broke_off_is_gone_on_with(configuration):
    secrets, _keys = parts.open_keys(configuration)
    kek = configuration.keys.key_encryption_key_file
    kek.rename(kek.with_name("kek.new"))
    assert parts.first_start_makes_keys(configuration)
    assert parts.open_keys(configuration)[0] == secrets


def test_a_key_that_is_away_is_asked_for_and_not_made_anew(configuration):
    parts.open_keys(configuration)
    configuration.keys.key_encryption_key_file.unlink()
    with pytest.raises(parts.StartError, match="cannot read the key file kek"):
        parts.open_keys(configuration)


def test_keys_that_are_configured_elsewhere_are_never_made_by_a_start(configuration, tmp_path):
    keys = configuration.keys.model_copy(
        update={"site_secret_file": tmp_path.parent / "mounted" / "site-secret"}
    )
    assert not parts.first_start_makes_keys(configuration.model_copy(update={"keys": keys}))
