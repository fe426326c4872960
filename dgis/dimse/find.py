"""C-FIND as provider (PS3.7 9.1.2, PS3.4 C.4.1): matches leave as the catalog gives them, in its order."""

from collections.abc import Generator, Iterator
from time import monotonic

import structlog

from catalog.query import Fault, InvalidQuery, Query, Root
from deid.deflate import is_deflated
from dgis.dimse.answers import MatchWriter
from dgis.dimse.commands import Field, response_to
from dgis.dimse.endings import AssociationEndedError
from dgis.dimse.identifier import Identifier, Options, read_identifier, to_query
from dgis.dimse.negotiation import combined_datetime, fuzzy, relational
from dgis.dimse.services import Match, Note
from dgis.dimse.sop_classes import service_of
from dgis.dimse.status import Refusal, Status
from dgis.dimse.turn import Turn

_log = structlog.get_logger(__name__)

_FLUSH_BYTES = 32_768  # matches that are ready leave together ...
_FLUSH_SECONDS = 0.005  # ... unless the catalog takes its time
_NO_IDENTIFIER = Refusal(Status.MISTYPED_ARGUMENT, "no identifier")
_TOO_LARGE = Refusal(Status.OUT_OF_RESOURCES, "the identifier is too large, or too many are at once")
CUT_SHORT = "the association ended before it was over"
_COPIES = 3  # of an identifier while it is read and its query answered, values apart
_FAILED = Refusal(Status.UNABLE_TO_PROCESS, "the catalog cannot answer now; ask again later")
_STATUS_OF_FAULT = {
    Fault.LEVEL: Status.DATA_SET_MISMATCH,
    Fault.UNIQUE_KEY: Status.DATA_SET_MISMATCH,
    Fault.VALUE: Status.UNABLE_TO_PROCESS,
    Fault.SIZE: Status.OUT_OF_RESOURCES,
}


def receive_identifier(turn: Turn) -> tuple[Identifier, Root, Options] | Refusal:
    """Read the identifier of a query or retrieve request.

    Raises:
        AssociationEndedError: the association is over.
    """
    context = turn.message.context
    if not turn.message.command.has_data_set:
        return _NO_IDENTIFIER
    most_bytes = turn.limits.identifier_bytes
    deflated = is_deflated(context.transfer_syntax)
    if deflated and not turn.allowance.take(most_bytes * _COPIES):
        turn.association.discard_data(context)
        return _TOO_LARGE

    def may_keep(size: int) -> bool:
        return deflated or turn.allowance.take(size * _COPIES)

    data = turn.association.receive_small_data(context, may_keep)
    if data is None:
        return _TOO_LARGE
    service = service_of(context.abstract_syntax)
    assert service is not None  # decided at dispatch
    assert service.root is not None
    identifier = read_identifier(data, context.transfer_syntax, service.root, most_bytes, turn.allowance.take)
    if isinstance(identifier, Refusal):
        return identifier
    agreed = turn.extended.get(context.abstract_syntax, b"")
    return identifier, service.root, Options(relational(agreed), combined_datetime(agreed), fuzzy(agreed))


def refusal_of(invalid: InvalidQuery) -> Refusal:
    """Give the status of a query that the catalog refused; its reason names keywords and rules only."""
    return Refusal(_STATUS_OF_FAULT[invalid.fault], invalid.reason)


def serve_find(turn: Turn) -> None:
    """Answer a query.

    Raises:
        AssociationEndedError: the association is over.
    """
    received = receive_identifier(turn)
    if isinstance(received, Refusal):
        _conclude(turn, received, 0)
        return
    identifier, root, options = received
    answers = _Answers(turn, identifier)
    try:
        refusal = answers.send_all(to_query(identifier, root, options))
    except InvalidQuery as invalid:
        refusal = refusal_of(invalid)
    except AssociationEndedError:
        turn.note(Note.QUERY_ENDED, None, CUT_SHORT, {"matches": answers.count})
        raise
    _conclude(turn, refusal, answers.count)


def _conclude(turn: Turn, refusal: Refusal | None, matches: int) -> None:
    status, words = (refusal.status, refusal.comment) if refusal else (Status.SUCCESS, "")
    turn.note(Note.QUERY_ENDED, status, words, {"matches": matches})
    if refusal is None:
        turn.reply(Status.SUCCESS)
    else:
        turn.refuse(refusal)


class _Answers:
    """The pending responses of one query, sent in batches."""

    def __init__(self, turn: Turn, identifier: Identifier) -> None:
        self.count = 0
        self._turn = turn
        context = turn.message.context
        self._context_id = context.context_id
        keywords = [key.keyword for key in identifier.keys]
        self._writer = MatchWriter(
            keywords, identifier.level, turn.session.called_ae, context.transfer_syntax
        )
        status = Status.PENDING_KEYS_NOT_SUPPORTED if identifier.unsupported else Status.PENDING
        pending = response_to(turn.message.command, status, has_data_set=True)
        self._command = turn.association.prepare(context.context_id, pending)
        self._held_bytes = 0
        self._flushed = 0.0

    def send_all(self, query: Query) -> Refusal | None:
        """Send every match; None where all went well.

        Raises:
            InvalidQuery: the catalog does not answer such a query.
            AssociationEndedError: the association is over.
        """
        found: Iterator[Match] | Refusal | None = None
        try:
            found = self._turn.services.find(self._turn.session, query)
            return found if isinstance(found, Refusal) else self._send(found)
        except (AssociationEndedError, InvalidQuery):
            raise
        except Exception as error:  # noqa: BLE001 - whatever the catalog raises, the peer gets a status
            _log.error("query_failed", error=type(error).__name__)
            return _FAILED
        finally:
            if isinstance(found, Generator):
                found.close()  # lets go of what the catalog holds for the query, also when the peer is gone

    def _send(self, found: Iterator[Match]) -> Refusal | None:
        for match in found:
            self._add(self._writer.write(match.values))
            if self._due() and self._flush_cancelled():
                return Refusal(Status.CANCELLED, "")
        return None  # what is held leaves together with the final response

    def _add(self, identifier: bytes) -> None:
        association = self._turn.association
        association.hold([*self._command, *association.prepare_identifier(self._context_id, identifier)])
        self._held_bytes += len(identifier)
        self.count += 1

    def _due(self) -> bool:
        return self._held_bytes >= _FLUSH_BYTES or monotonic() - self._flushed > _FLUSH_SECONDS

    def _flush_cancelled(self) -> bool:
        self._turn.association.flush()
        self._held_bytes, self._flushed = 0, monotonic()
        return cancelled(self._turn)


def cancelled(turn: Turn) -> bool:
    """Look, without waiting, whether the peer has cancelled the operation (PS3.7 9.3.2.3).

    Raises:
        AssociationEndedError: the association is over; any other request is one of those endings, as no
            asynchronous operations were agreed on.
    """
    message = turn.association.peek_message()
    if message is None:
        return False
    if message.command.field != Field.C_CANCEL_RQ:
        raise turn.association.abort("a request while another is in progress")
    return message.command.responded_to in (turn.message.command.message_id, None)
