"""C-ECHO as provider (PS3.7 9.1.5)."""

from dgis.dimse.status import Status
from dgis.dimse.turn import Turn


def serve_echo(turn: Turn) -> None:
    """Answer a verification.

    Raises:
        AssociationEndedError: the association is over.
    """
    if turn.message.command.has_data_set:  # not of the standard; read so that the answer keeps its place
        turn.association.discard_data(turn.message.context)
    turn.reply(Status.SUCCESS)
