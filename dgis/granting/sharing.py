"""Shares as acts of somebody: token, grant and record are written together, or not at all."""

from sqlalchemy import Connection

from catalog.audit import trail
from catalog.audit.values import Event, Happening
from catalog.credentials import shares
from catalog.credentials.shares import Share, Wanted
from dgis.granting import acts
from dgis.granting.acts import Actor, NotDone


def share(connection: Connection, actor: Actor, wanted: Wanted) -> tuple[Share, str]:
    """Make a share and return it with its token; the caller's commit makes it count.

    Raises:
        NotDone: that cannot be shared so.
    """
    try:
        made, grant = shares.prepared(wanted, actor.words, actor.now_ms)
    except ValueError as error:
        raise NotDone(str(error)) from None
    acts.give(connection, actor, grant)
    return made, shares.add(connection, made)


def withdraw(connection: Connection, actor: Actor, share_id: str, maker: str | None = None) -> Share:
    """Take a share back, with its grant; the next request with its token is refused.

    Raises:
        NotDone: there is no such share, or not of that maker.
    """
    was = shares.withdraw(connection, share_id, actor.now_ms, maker)
    if was is None:
        raise NotDone("there is no such share")
    happening = Happening(
        Event.GRANT, actor.words, address=actor.address, detail={"act": "unshare", "share": was.id}
    )
    trail.append(connection, actor.writer, [happening], actor.now_ms)
    return was
