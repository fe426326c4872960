"""From the configuration to the parts that roles and commands are made of."""

import time
from pathlib import Path

import sqlalchemy as sa
from alembic.util import CommandError

from deid.keys.files import load_secrets
from deid.keys.setup import keys_init, open_key_store
from deid.keys.store import KeyStore
from deid.keys.values import KeysError
from deid.profile import Profile, ProfileError
from deid.pseudonyms import Pseudonyms, SiteSecrets
from deid.verdict import PixelRule, parse_rule, standard_rules
from dgis import database
from dgis.cache.log import Limits as CacheLimits
from dgis.cache.log import ReceiveLog
from dgis.cache.owner import Owner
from dgis.cache.publish_queue import Patience
from dgis.configuration import Configuration


class StartError(Exception):
    """Something a role or a command needs is not there; the message says what to do about it."""


def now_ms() -> int:
    """The time in epoch milliseconds."""
    return time.time_ns() // 1_000_000


def keyholder_socket(configuration: Configuration) -> Path:
    """Where the worker of this host answers the doors."""
    return configuration.gateway.home / "run" / "keyholder.sock"


def open_database(configuration: Configuration) -> sa.Engine:
    """Open the database and bring its schema up to date.

    Raises:
        StartError: it does not answer, or is no database of a gateway.
    """
    try:
        engine = database.open_engine(configuration)
    except OSError as error:
        raise StartError(f"cannot write {configuration.gateway.home}: {error.strerror}") from None
    where = database.database_url(configuration).render_as_string(hide_password=True)
    try:
        database.migrate(engine)
    except sa.exc.OperationalError:
        engine.dispose()
        raise StartError(f"the database does not answer: {where}") from None
    except (sa.exc.DatabaseError, CommandError, OSError) as error:
        engine.dispose()
        raise StartError(f"the database cannot be used ({type(error).__name__}): {where}") from None
    return engine


def open_receive_log(configuration: Configuration) -> ReceiveLog:
    """Open the receive log of the home.

    Raises:
        StartError: the home cannot be written.
    """
    limits = CacheLimits(configuration.cache.max_bytes, configuration.cache.free_floor_bytes)
    try:
        return ReceiveLog.open(configuration.gateway.home, limits)
    except OSError as error:
        raise StartError(f"cannot write {configuration.gateway.home}: {error.strerror}") from None


def cache_owner(configuration: Configuration) -> Owner:
    """Whose cache it is, and how long its series wait."""
    publish = configuration.publish
    patience = Patience(
        stable_age_ms=round(publish.stable_age_seconds * 1000),
        after_release_ms=round(publish.after_release_seconds * 1000),
    )
    return Owner(configuration.gateway.name, patience, now_ms)


def keys_are_unborn(configuration: Configuration) -> bool:
    """Whether the keys are those of the embedded default and were never made: the first start makes them."""
    keys = configuration.keys
    files = [file for file in (keys.site_secret_file, keys.key_encryption_key_file) if file is not None]
    embedded = all(file.is_relative_to(configuration.gateway.home) for file in files)
    return embedded and not any(file.exists() for file in files)


def open_keys(configuration: Configuration) -> tuple[SiteSecrets, KeyStore]:
    """Open site secret and key store; those of the embedded default are made when they are missing.

    Raises:
        StartError: keys are missing, open to others, or not what they should be.
    """
    keys = configuration.keys
    assert keys.site_secret_file is not None, "dgis.settings fills it in"
    assert keys.key_encryption_key_file is not None, "likewise"
    try:
        if keys_are_unborn(configuration):
            keys_init(keys.site_secret_file, keys.key_encryption_key_file, keys.stores)
        (site_secret,) = load_secrets(keys.site_secret_file)
        return SiteSecrets(site_secret), open_key_store(keys.key_encryption_key_file, keys.stores)
    except KeysError as error:
        raise StartError(f"{error} (dgis keys init makes new keys)") from None


def open_pseudonyms(configuration: Configuration) -> Pseudonyms:
    """Return the pseudonyms of the site.

    Raises:
        StartError: as `open_keys`.
    """
    secrets, _keys = open_keys(configuration)
    return Pseudonyms(secrets, configuration.gateway.facility)


def pixel_rules(configuration: Configuration) -> tuple[PixelRule, ...]:
    """Return the rules that decide on pixels: the site's own first, then the built-in ones.

    Raises:
        StartError: the rules file cannot be read, or a line of it states no rule.
    """
    path = configuration.deid.rules_file
    if path is None:
        return standard_rules()
    try:
        lines = [line.split("\t") for line in path.read_text("utf-8").splitlines() if line and line[0] != "#"]
        return (*(parse_rule(line) for line in lines), *standard_rules())
    except OSError as error:
        raise StartError(f"deid.rules_file: cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise StartError(f"deid.rules_file: {path}: {error}") from None


def deid_profile(configuration: Configuration) -> Profile:
    """Return the profile the facility de-identifies by.

    Raises:
        StartError: options exclude each other or are unknown.
    """
    try:
        return Profile.named(configuration.deid.profile, configuration.deid.options)
    except ProfileError as error:
        raise StartError(f"deid: {error}") from None
