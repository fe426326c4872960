"""From the configuration to the parts that roles and commands are made of."""

import time
from pathlib import Path

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from catalog.audit.seal import signing_key
from catalog.credentials.authority import Authority
from deid.keys import durable
from deid.keys.files import create_secrets, load_secrets
from deid.keys.folder import FolderVault
from deid.keys.setup import keys_are_unborn, keys_init, open_key_store
from deid.keys.store import KeyStore
from deid.keys.values import KeysError
from deid.profile import Profile, ProfileError
from deid.pseudonyms import Pseudonyms, SiteSecrets
from deid.verdict import PixelRule, RuleError, parse_rules, standard_rules
from dgis import database
from dgis.cache.log import Limits as CacheLimits
from dgis.cache.log import ReceiveLog
from dgis.cache.owner import Owner
from dgis.cache.publish_queue import Patience
from dgis.configuration import Configuration
from dgis.near.copies import NearCopies


class StartError(Exception):
    """Something a role or a command needs is not there; the message says what to do about it."""


def now_ms() -> int:
    """The time in epoch milliseconds."""
    return time.time_ns() // 1_000_000


def keyholder_socket(configuration: Configuration) -> Path:
    """Where the worker of this host answers the doors."""
    return configuration.gateway.home / "run" / "keyholder.sock"


def scratch(configuration: Configuration) -> Path:
    """Where decoded and restored images wait in nameless files; beside the cache, for they are of the same.

    Raises:
        OSError: the home cannot be written.
    """
    folder = configuration.gateway.home / "scratch"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def open_database(configuration: Configuration, role: str = "command") -> sa.Engine:
    """Open the database as a role needs it, and bring its schema up to date.

    Raises:
        StartError: it does not answer, or is no database of a gateway.
    """
    try:
        engine = database.open_engine(configuration, role)
    except OSError as error:
        raise StartError(f"cannot write {configuration.gateway.home}: {error.strerror}") from None
    where = database.database_url(configuration).render_as_string(hide_password=True)
    try:
        database.migrate(engine)
    except sa.exc.OperationalError:
        engine.dispose()
        raise StartError(f"the database does not answer: {where}") from None
    except database.SchemaError as error:
        engine.dispose()
        raise StartError(f"the database cannot be used: {error}: {where}") from None
    except (sa.exc.DatabaseError, OSError) as error:
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


def near_copies(configuration: Configuration) -> NearCopies:
    """Return the records that were brought near, for every process of this gateway on this host."""
    cache = configuration.cache
    # twice the floor: the cache of received images ends at it, and comes first
    return NearCopies(configuration.gateway.home / "near", cache.prefetch_bytes, 2 * cache.free_floor_bytes)


def cache_owner(configuration: Configuration) -> Owner:
    """Whose cache it is, and how long its series wait."""
    publish = configuration.publish
    patience = Patience(
        stable_age_ms=round(publish.stable_age_seconds * 1000),
        after_release_ms=round(publish.after_release_seconds * 1000),
    )
    return Owner(configuration.gateway.name, patience, now_ms)


def first_start_makes_keys(configuration: Configuration) -> bool:
    """Whether the keys are those of the embedded default and were never made, or a crash broke that off."""
    site_secret, kek = _key_files(configuration)
    home = configuration.gateway.home
    embedded = site_secret.is_relative_to(home) and kek.is_relative_to(home)
    return embedded and keys_are_unborn(site_secret, kek)


def open_keys(configuration: Configuration) -> tuple[SiteSecrets, KeyStore]:
    """Open site secret and key store; those of the embedded default are made when they are missing.

    Raises:
        StartError: keys are missing, open to others, or not what they should be.
    """
    (secret_file, kek), stores = _key_files(configuration), configuration.keys.stores
    try:
        if first_start_makes_keys(configuration):
            keys_init(secret_file, kek, stores)
        (site_secret,) = load_secrets(secret_file)
        return SiteSecrets(site_secret), open_key_store(kek, stores)
    except KeysError as error:
        raise StartError(f"{error} (dgis keys init makes new keys)") from None


def key_store_answers(path: Path) -> bool:
    """Whether a key store is there, mounted, and says which one it is."""
    try:
        return FolderVault(path).identity() is not None
    except KeysError:
        return False


def _key_files(configuration: Configuration) -> tuple[Path, Path]:
    keys = configuration.keys
    assert keys.site_secret_file is not None, "dgis.settings fills it in"
    assert keys.key_encryption_key_file is not None, "likewise"
    return keys.site_secret_file, keys.key_encryption_key_file


def open_audit_key(configuration: Configuration) -> Ed25519PrivateKey:
    """Open the key that signs the heads of the audit trail; made when it is missing.

    Raises:
        StartError: it is open to others, or holds something else.
    """
    return _signing_key("audit_key_file", configuration.keys.audit_key_file)


def open_authority(configuration: Configuration) -> Authority:
    """Open the grid's own authority, its key made when it is missing, and write down what doors verify with.

    Raises:
        StartError: as `open_audit_key`, or the public key cannot be written.
    """
    identity, keys = configuration.identity, configuration.keys
    key = _signing_key("grid_key_file", keys.grid_key_file)
    authority = Authority(identity.grid, identity.audience, key)
    assert keys.grid_jwks_file is not None, "dgis.settings fills it in"
    try:
        durable.make_folder(keys.grid_jwks_file.parent)
        durable.replace(keys.grid_jwks_file, authority.jwks())
    except OSError as error:
        raise StartError(f"keys.grid_jwks_file: {error.strerror}") from None
    return authority


def _signing_key(setting: str, path: Path | None) -> Ed25519PrivateKey:
    assert path is not None, "dgis.settings fills it in"
    try:
        create_secrets(path)
        (seed,) = load_secrets(path)
    except (KeysError, OSError, ValueError) as error:
        raise StartError(f"keys.{setting}: {error}") from None
    return signing_key(seed)


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
        return (*parse_rules(path.read_text("utf-8").splitlines()), *standard_rules())
    except OSError as error:
        raise StartError(f"deid.rules_file: cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise StartError(f"deid.rules_file: {path} is no UTF-8 text at byte {error.start}") from None
    except RuleError as error:
        raise StartError(f"deid.rules_file: {path}: {error}") from None


def deid_profile(configuration: Configuration) -> Profile:
    """Return the profile the facility de-identifies by.

    Raises:
        StartError: options contradict each other or are unknown.
    """
    try:
        return Profile.named(configuration.deid.profile, configuration.deid.options)
    except ProfileError as error:
        raise StartError(f"deid.options: {error}") from None
