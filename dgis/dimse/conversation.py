"""One connection from its first byte to its last: association, then one operation after another."""

import itertools
import socket
import ssl
from collections.abc import Callable, Mapping
from time import monotonic
from typing import NoReturn

import structlog

from dgis.dimse.association import Association, Message
from dgis.dimse.commands import RESPONSE, Field
from dgis.dimse.commitment import report_in_silence, serve_action
from dgis.dimse.echo import serve_echo
from dgis.dimse.endings import AssociationEndedError, Ending, EndingKind
from dgis.dimse.find import serve_find
from dgis.dimse.get import serve_get
from dgis.dimse.limits import Limits
from dgis.dimse.move import serve_move
from dgis.dimse.negotiation import negotiate, refuse_outright
from dgis.dimse.pdu import LOCAL_LIMIT_EXCEEDED, TEMPORARY_CONGESTION, Rejection
from dgis.dimse.proposal import AssociateRequest
from dgis.dimse.register import Register
from dgis.dimse.services import Admitted, Attempt, Event, Note, Services, Session
from dgis.dimse.sop_classes import Operation, service_of
from dgis.dimse.states import Role
from dgis.dimse.status import Refusal, Status
from dgis.dimse.store import serve_store
from dgis.dimse.transport import transport_of
from dgis.dimse.turn import Turn
from dgis.dimse.upper_layer import GIVING_WAY, UpperLayer
from dgis.dimse.wire import Wire
from dgis.watch import tracing
from dgis.watch.steps import Step, timed

_log = structlog.get_logger(__name__)
_numbers = itertools.count(1)

# PS3.7 table 9.3: which request is for which kind of SOP class, and who serves it.
_SERVED: dict[int, tuple[Operation, Callable[[Turn], None]]] = {
    Field.C_ECHO_RQ: (Operation.VERIFY, serve_echo),
    Field.C_STORE_RQ: (Operation.STORE, serve_store),
    Field.C_FIND_RQ: (Operation.FIND, serve_find),
    Field.C_GET_RQ: (Operation.GET, serve_get),
    Field.C_MOVE_RQ: (Operation.MOVE, serve_move),
    Field.N_ACTION_RQ: (Operation.COMMIT, serve_action),
}
_STEPS = {operation: Step(operation.value) for operation in Operation}
_NOT_FOR_THIS_CLASS = Refusal(Status.SOP_CLASS_NOT_SUPPORTED, "this operation is not of this SOP class")
_UNKNOWN_OPERATION = Refusal(Status.UNRECOGNIZED_OPERATION, "this operation is not supported")
_NO_TLS = Ending(EndingKind.VIOLATION, "no TLS came about")
_CUT = Ending(EndingKind.ABORTED, GIVING_WAY)
_FAILED = Refusal(Status.PROCESSING_FAILURE, "the gateway failed to process the request")


class Conversation:
    """Serves one accepted connection; `run` is the life of its thread."""

    def __init__(
        self,
        connected: tuple[socket.socket, str],
        services: Services,
        limits: Limits,
        register: Register,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._socket, self.address = connected
        self._services = services
        self._limits = limits
        self._register = register
        self._tls = tls
        self._association: Association | None = None
        self._session: Session | None = None
        self._is_cut = False

    def run(self) -> None:
        """Serve until the association ends; nothing is raised, whatever the peer or a service does."""
        try:
            self._secure()
            self._converse()
        except AssociationEndedError as error:
            self._ended(_CUT if self._is_cut else error.ending)
        except ssl.SSLError:
            self._ended(_NO_TLS)
        except TimeoutError:
            self._ended(Ending(EndingKind.TOO_SLOW, "TLS handshake"))
        except OSError as error:  # a peer gone before its first byte
            self._ended(_CUT if self._is_cut else Ending(EndingKind.CLOSED, type(error).__name__))
        except Exception as error:  # noqa: BLE001 - a defect in one association must not end the others
            _log.error("association_failed", error=type(error).__name__)
            self._ended(Ending(EndingKind.ABORTED, "a defect of the gateway"))
        finally:
            self._socket.close()
            self._register.leave(self)

    def idle_seconds(self) -> float:
        """How long the peer has asked for nothing; 0 during an operation."""
        since = self._association.idle_since if self._association else None
        return 0.0 if since is None else monotonic() - since

    def stop(self) -> None:
        """End after the operation at hand; callable from another thread."""
        if self._association is None:
            self.cut()
        else:
            self._association.stop()

    def cut(self) -> None:
        """End now; callable from another thread."""
        self._is_cut = True
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it is gone already

    def _secure(self) -> None:
        if self._tls is not None:
            self._socket.settimeout(self._limits.artim_seconds)
            self._socket = self._tls.wrap_socket(self._socket, server_side=True)

    def _converse(self) -> None:
        wire = Wire(transport_of(self._socket, self._limits.tick_seconds), self._limits)
        upper = UpperLayer(wire, Role.ACCEPTOR, self._limits)
        try:
            association, session, extended = self._agree(upper, wire)
            self._association = association
            self._services.note(Event(Note.ASSOCIATION_OPENED, self.address, session))
            with tracing.span("association"):
                ended = self._served(association, session, extended)
            raise ended
        finally:
            upper.close()

    def _agree(self, upper: UpperLayer, wire: Wire) -> tuple[Association, Session, Mapping[str, bytes]]:
        """Come to an association; what was proposed, a megabyte perhaps, is not kept while it stands."""
        request = upper.await_request()
        admitted = self._admit(request)
        if isinstance(admitted, Rejection):
            raise upper.reject(admitted)
        self._session = session = self._begin_session(request, admitted)
        agreement = negotiate(request)
        answer = agreement.answer(request, self._limits.max_pdu_bytes, admitted.identity_response)
        upper.accept(answer, request.application_context)
        association = Association(upper, wire, agreement.contexts, request.max_pdu_bytes, self._limits)
        return association, session, agreement.extended

    def _admit(self, request: AssociateRequest) -> Admitted | Rejection:
        outright = refuse_outright(request, self._limits.smallest_pdu_bytes)
        if outright is not None:
            return outright
        if not self._register.promote(self):
            return LOCAL_LIMIT_EXCEEDED
        assert request.called_ae is not None  # refused outright otherwise
        assert request.calling_ae is not None
        secured = self._socket if isinstance(self._socket, ssl.SSLSocket) else None
        attempt = Attempt(
            request.called_ae,
            request.calling_ae,
            self.address,
            request.identity,
            secured.getpeercert(binary_form=True) if secured else None,
            encrypted=secured is not None,
        )
        try:
            admitted = self._services.admit(attempt)
        except Exception as error:  # noqa: BLE001 - the back end is ill: the peer is asked to come again
            _log.error("admission_failed", error=type(error).__name__)
            admitted = TEMPORARY_CONGESTION
        if isinstance(admitted, Rejection):
            self._register.demote(self)
        return admitted

    def _begin_session(self, request: AssociateRequest, admitted: Admitted) -> Session:
        return Session(
            next(_numbers), admitted.caller, request.called_ae or "", request.calling_ae or "", self.address
        )

    def _served(
        self, association: Association, session: Session, extended: Mapping[str, bytes]
    ) -> AssociationEndedError:
        """Serve to the end and return how it came: to a trace, no end of an association is a failure."""
        try:
            self._serve(association, session, extended)
        except AssociationEndedError as ended:
            return ended

    def _serve(self, association: Association, session: Session, extended: Mapping[str, bytes]) -> NoReturn:
        def serve(message: Message) -> None:
            allowance = self._register.budget.allowance()
            turn = Turn(association, message, session, self._services, self._limits, allowance, extended)
            if message.command.message_id is None and _wants_answer(message.command.field):
                raise association.abort("a request without a message ID")
            try:
                _answer(turn)
            finally:
                allowance.give_back()

        while True:
            report_in_silence(association, session, self._services, serve)
            serve(association.next_message())
            if association.stopping:
                raise association.abort(GIVING_WAY)

    def _ended(self, ending: Ending) -> None:
        note = Note.ASSOCIATION_REFUSED if ending.rejection else Note.ASSOCIATION_ENDED
        words = f"{ending.kind.value}: {ending.words}" if ending.words else ending.kind.value
        if ending.kind is not EndingKind.RELEASED:
            number = self._session.number if self._session else 0
            _log.info("association_ended", number=number, how=ending.kind.name, words=ending.words)
        rejection = ending.rejection.words if ending.rejection else ""
        self._services.note(Event(note, self.address, self._session, words=words, rejection=rejection))


def _wants_answer(field: int) -> bool:
    return field != Field.C_CANCEL_RQ and not field & RESPONSE


def _answer(turn: Turn) -> None:
    """Serve one request; a cancel of what is over already is not answered (PS3.7 9.3.2.3)."""
    command, context = turn.message.command, turn.message.context
    if command.field == Field.C_CANCEL_RQ:
        return
    if command.field & RESPONSE:
        raise turn.association.abort("a response to nothing")
    operation, serve = _SERVED.get(command.field, (None, None))
    service = service_of(context.abstract_syntax)
    if serve is None or service is None or service.operation is not operation:
        _decline(turn, _UNKNOWN_OPERATION if serve is None else _NOT_FOR_THIS_CLASS)
        return
    try:
        with timed(_STEPS[operation]):
            serve(turn)
    except AssociationEndedError:
        raise
    except Exception as error:  # the peer gets a status; where the message stood is unknown, so that is all
        _log.error("operation_failed", operation=operation.name, error=type(error).__name__)
        turn.note(Note.REQUEST_REFUSED, _FAILED.status, _FAILED.comment)
        turn.refuse(_FAILED)
        raise turn.association.abort("a service failed") from error


def _decline(turn: Turn, refusal: Refusal) -> None:
    if turn.message.command.has_data_set:
        turn.association.discard_data(turn.message.context)
    turn.note(Note.REQUEST_REFUSED, refusal.status, refusal.comment)
    turn.refuse(refusal)
