"""What operators do by commands, for the trail: one entry an act, in the transaction of the act itself."""

import getpass
import os

import sqlalchemy as sa

from catalog.audit import trail
from catalog.audit.values import Event, Happening, Json
from dgis.parts import now_ms


def operator(gateway_id: str) -> str:
    """Return who runs this command: the system's user, which nobody proves to the gateway."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = "unnamed"
    return f"operator <{name}/{os.getuid()}@{gateway_id}>"


def act(
    gateway_id: str, event: Event, what: str, detail: dict[str, Json] | None = None, *patients: str
) -> Happening:
    """Return what the trail keeps of an operator's act; `detail` holds no secret and no original."""
    who = operator(gateway_id)
    return Happening(event, who, patients=patients, detail={**(detail or {}), "what": what})


def record(connection: sa.Connection, gateway_id: str, happening: Happening) -> None:
    """Add it to the trail of the gateway's commands; the caller's commit makes both real.

    Raises:
        SQLAlchemyError: the trail does not take it; the act is to be rolled back.
    """
    trail.append(connection, f"{gateway_id}/cli", [happening], now_ms())
