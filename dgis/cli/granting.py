"""What the commands that change grants, links and consent share: who acts, whom they name, dates."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import sqlalchemy as sa
import typer

from catalog.grants import FOR_EVER_MS
from deid.keys.values import KeysError
from deid.pseudonyms import Pseudonyms
from dgis import parts
from dgis.cli.common import failures_in_words
from dgis.cli.opening import Opened, opened
from dgis.erasure.held import Names
from dgis.erasure.subject import NobodyMeant
from dgis.granting.acts import Actor, NotDone
from dgis.granting.subjects import Directory
from dgis.keyholder.pseudonyms import pseudonymiser

PATIENT_HELP = (
    "Published Patient ID or patient key; or an original ID, ID^^^ISSUER (ID^^^: issued by the facility)."
)
_DATE_LENGTH = len("2027-01-31")
By = Annotated[
    str,
    typer.Option("--by", help="Who decided it, as it is said; the operating system's user stands beside."),
]
Reason = Annotated[str, typer.Option(help="Why; `dgis explain` shows it, so let it name no patient.")]
OfPatient = Annotated[str | None, typer.Option("--patient", help=f"What: {PATIENT_HELP}", show_default=False)]
OfStudy = Annotated[str | None, typer.Option("--study", help="What: UID, original or pseudonym.")]
OfSeries = Annotated[str | None, typer.Option("--series", help="What: UID, original or pseudonym.")]
Unseen = Annotated[bool, typer.Option("--unseen", help="Also where nothing of that patient has come yet.")]


@dataclass(frozen=True, slots=True)
class Desk:
    """Where an operator acts: one transaction, who they are, and the keys they name."""

    connection: sa.Connection
    actor: Actor
    directory: Directory


@contextmanager
def look(home: Path | None, config: Path | None) -> Iterator[tuple[sa.Connection, Directory]]:
    """Open what a list is read from; refusals end the command."""
    told = (NobodyMeant, KeysError, parts.StartError)
    with failures_in_words(*told), opened(home, config) as gateway, gateway.reading() as connection:
        yield connection, directory(gateway, connection)


@contextmanager
def desk(home: Path | None, config: Path | None, by: str = "") -> Iterator[Desk]:
    """Open a transaction to act in; it is committed when nothing was refused, refusals end the command."""
    told = (NotDone, NobodyMeant, KeysError, parts.StartError, ValueError)
    with failures_in_words(*told), opened(home, config) as gateway, gateway.engine.begin() as connection:
        yield Desk(connection, _actor(gateway, by), directory(gateway, connection))


def directory(gateway: Opened, connection: sa.Connection) -> Directory:
    """Return what resolves what was typed."""
    return Directory(connection, lambda: _names(gateway))


def moment_of(text: str | None, *, end: bool) -> int:
    """Return epoch milliseconds of an ISO 8601 date or time; without an offset it is local time.

    A date alone begins with its first moment and, as an `end`, ends with its last. None is no bound.

    Raises:
        typer.BadParameter: it is neither.
    """
    if text is None:
        return FOR_EVER_MS if end else 0
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("a date or time as in 2027-01-31 or 2027-01-31T18:00+01:00") from None
    if end and len(text) <= _DATE_LENGTH:
        read += timedelta(days=1)
    return round(read.astimezone().timestamp() * 1000)


def _actor(gateway: Opened, by: str) -> Actor:
    user = f"uid {os.getuid()} at {gateway.gateway_id}"
    return Actor(f"{by} ({user})" if by else user, f"{gateway.gateway_id}/cli", parts.now_ms())


def _names(gateway: Opened) -> Names:
    secrets, _keys = parts.open_keys(gateway.configuration)
    return pseudonymiser(Pseudonyms(secrets, gateway.configuration.gateway.facility))
