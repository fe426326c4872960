"""What `dgis doctor` looks at of the machine and the files that others gave: owners, clock, certificates."""

import os
import pwd
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from dgis import database, parts
from dgis.configuration import Configuration, Gateway
from dgis.destinations import tls_to
from dgis.identity.addresses import is_loopback
from dgis.identity.tls import TlsError, server_context
from dgis.tables import publish_job
from dgis.watch.certificates import Expiry, certificates, revocation_lists, shown_to_destinations

_SOON = timedelta(days=21)
_CLOCKS_MS = 2_000  # what two clocks may differ: an erasure goes by them
_CLOCK_BACK_MS = 60_000
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `advice` says what to do where it is not well."""

    what: str
    well: bool
    advice: str = ""


def owners(configuration: Configuration) -> Iterator[Finding]:
    """Look whether what lies under the home is ours alone: commands that root ran leave files behind."""
    home = configuration.gateway.home
    places = [home, *(home / name for name in ("run", "cache", "keys", "scratch", "catalog.sqlite"))]
    there = [path for path in (*places, *configuration.keys.stores) if path.exists()]
    foreign = [path for path in there if path.stat().st_uid != os.geteuid()]
    if foreign:
        user = _user(foreign[0].stat().st_uid)
        yield Finding(
            f"{foreign[0]} belongs to the user who runs this",
            well=False,
            advice=f"it is {user}'s: run commands as that user (sudo -u {user} dgis ...), or chown it",
        )
    if home.exists():
        mode = stat.S_IMODE(home.stat().st_mode)
        yield Finding(f"nobody else gets into {home}", not mode & _OTHERS, f"chmod 700 {home}")


def facility(configuration: Configuration) -> Iterator[Finding]:
    """Look whether a gateway that others reach still has the name of the demo."""
    host = configuration.dicom.host
    if host != "localhost" and not is_loopback(host):
        default = Gateway().facility
        yield Finding(
            f"the facility has a name of its own ({configuration.gateway.facility})",
            configuration.gateway.facility != default,
            "set gateway.facility before the first image: it is part of every pseudonym",
        )


def clock(configuration: Configuration) -> Iterator[Finding]:
    """Compare this clock with the database's, and with what was received before."""
    url = database.database_url(configuration)
    if url.get_backend_name() == "sqlite" and url.database and not Path(url.database).exists():
        return
    engine = database.open_engine(configuration)
    try:
        with engine.connect() as connection:
            newest = connection.scalar(sa.select(sa.func.max(publish_job.c.last_received_ms))) or 0
            server = _server_ms(connection)
            own = parts.now_ms()
    except sa.exc.SQLAlchemyError:
        return  # another finding says so
    finally:
        engine.dispose()
    advice = "set the clock and keep it set: chrony or systemd-timesyncd, on every host of the grid"
    yield Finding("the clock has not gone back since images came", newest <= own + _CLOCK_BACK_MS, advice)
    if server is not None:
        apart = abs(server - own)
        yield Finding(f"this clock and the database's are {apart} ms apart", apart <= _CLOCKS_MS, advice)


def tls(configuration: Configuration) -> Iterator[Finding]:
    """Look until when certificates and lists hold, and whether keys belong to them."""
    for expiry in (*certificates(configuration), *shown_to_destinations(configuration)):
        yield _expiry(expiry, "certificate", "put a new one there and restart")
    for expiry in revocation_lists(configuration):
        yield _expiry(expiry, "list", "fetch a new one: everybody is refused when it ends")
    for name, door in (("dicom", configuration.dicom), ("web", configuration.web)):
        if door.tls_certificate is not None and door.tls_key is not None:
            try:
                server_context(door.tls_certificate, door.tls_key, None)
            except TlsError as error:
                yield Finding(f"{name}: certificate and key belong together", well=False, advice=str(error))
            else:
                yield Finding(f"{name}: certificate and key belong together", well=True)


def destinations(configuration: Configuration) -> Iterator[Finding]:
    """Look whether TLS can be spoken to the destinations that are configured with it."""
    for title, where in configuration.dicom.destinations.items():
        if not where.tls:
            continue
        words = f"destination {title}: the files of TLS can be used"
        try:
            tls_to(where)
        except TlsError as error:
            yield Finding(words, well=False, advice=str(error))
        else:
            yield Finding(words, well=True)


def key_stores(configuration: Configuration) -> Iterator[Finding]:
    """Look whether every key store answers: while one is away no new patient is published."""
    if parts.first_start_makes_keys(configuration):
        return
    for path in configuration.keys.stores:
        yield Finding(
            f"key store {path} answers",
            parts.key_store_answers(path),
            "mount it; a new disk in its place: dgis keys init (keys.stores)",
        )


LOOKS: tuple[Callable[[Configuration], Iterator[Finding]], ...] = (
    *(owners, facility, clock, tls, destinations),
    key_stores,
)


def _expiry(expiry: Expiry, what: str, advice: str) -> Finding:
    if expiry.ends is None:
        return Finding(f"{expiry.setting}: {expiry.path} is a {what} in PEM form", well=False, advice=advice)
    left = expiry.ends - datetime.now(UTC)
    return Finding(f"{expiry.setting} holds until {expiry.ends:%Y-%m-%d}", left > _SOON, advice)


def _server_ms(connection: sa.Connection) -> int | None:
    if connection.dialect.name != "postgresql":
        return None
    seconds = connection.scalar(sa.text("SELECT extract(epoch FROM clock_timestamp())"))
    return round(float(seconds) * 1000) if seconds is not None else None


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
