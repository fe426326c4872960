"""The upper layer service on one connection: PS3.8 section 9, driven by the table in `states`."""

from collections.abc import Callable, Sequence

from dgis.dimse.associate import decode_accept, decode_request, encode_accept, encode_request
from dgis.dimse.endings import AssociationEndedError, Ending, EndingKind
from dgis.dimse.limits import Limits
from dgis.dimse.pdu import (
    PDV_OVERHEAD,
    RELEASE_RP,
    RELEASE_RQ,
    Abort,
    AbortReason,
    AbortSource,
    MalformedPduError,
    PduType,
    Rejection,
    decode_abort,
    decode_rejection,
    encode_abort,
    encode_rejection,
)
from dgis.dimse.proposal import AssociateAccept, AssociateRequest
from dgis.dimse.states import Action, Event, Role, State, after
from dgis.dimse.transport import TransportClosedError
from dgis.dimse.wire import Patience, PeerTooSlowError, Wire

_EVENTS: dict[int, Event] = {
    PduType.ASSOCIATE_RQ: Event.ASSOCIATE_RQ_PDU,
    PduType.ASSOCIATE_AC: Event.ASSOCIATE_AC_PDU,
    PduType.ASSOCIATE_RJ: Event.ASSOCIATE_RJ_PDU,
    PduType.DATA: Event.DATA_PDU,
    PduType.RELEASE_RQ: Event.RELEASE_RQ_PDU,
    PduType.RELEASE_RP: Event.RELEASE_RP_PDU,
    PduType.ABORT: Event.ABORT_PDU,
}
_DECODERS: dict[int, Callable[[memoryview], object]] = {
    PduType.ASSOCIATE_RQ: decode_request,
    PduType.ASSOCIATE_AC: decode_accept,
    PduType.ASSOCIATE_RJ: decode_rejection,
    PduType.ABORT: decode_abort,
}
_CLOSING = {Action.AE_4, Action.AR_3, Action.AR_5, Action.AA_2, Action.AA_3, Action.AA_4, Action.AA_5}
_COLLIDED = {State.COLLISION_REQUESTOR_AWAIT_LOCAL, State.COLLISION_ACCEPTOR_AWAIT_LOCAL}
_OVER = {State.IDLE, State.AWAIT_CLOSE}

GIVING_WAY = "it gave way to another, or the gateway stops"

_SMALL_PDU_BYTES = 1024  # release, abort and reject have 4 bytes; more is let pass, much more is not
_SLACK_BYTES = 64  # some senders do not count headers in the maximum length they were offered
_BUFFERED_PDUS = 4  # read ahead of the one at hand: what is cut is moved once in four PDUs


class UpperLayer:
    """Associate, transfer, release and abort, for either role; blocking, one thread at a time."""

    def __init__(self, wire: Wire, role: Role, limits: Limits) -> None:
        self._wire = wire
        self._role = role
        self._limits = limits
        self._most_data_bytes = limits.max_pdu_bytes + _SLACK_BYTES
        self._fault = AbortReason.NOT_SPECIFIED
        self._decoded: object = None  # of the last PDU that has a content of its own
        self.state = State.IDLE
        self.stopping = False  # set by the server: the end of input then means that we are to abort

    @property
    def established(self) -> bool:
        """Whether messages can pass (Sta6)."""
        return self.state is State.ESTABLISHED

    def await_request(self) -> AssociateRequest:
        """As acceptor: wait for the A-ASSOCIATE-RQ; the answer is `accept` or `reject`.

        Raises:
            AssociationEndedError: something else came, or nothing in time.
        """
        self._step(Event.TRANSPORT_INDICATED)
        self._wire.expect(Patience("association request", self._limits.artim_seconds))
        self._next_pdu()
        request, self._decoded = self._decoded, None  # a megabyte perhaps
        assert isinstance(request, AssociateRequest)  # nothing else leads from Sta2 to here
        return request

    def accept(self, accept: AssociateAccept, application_context: str) -> None:
        """Answer with an A-ASSOCIATE-AC; the association stands.

        Raises:
            AssociationEndedError: the peer is gone.
        """
        self._step(Event.ASSOCIATE_ACCEPT)
        self._send([encode_accept(accept, application_context)])
        self._reserve()

    def reject(self, rejection: Rejection) -> AssociationEndedError:
        """Answer with an A-ASSOCIATE-RJ and see the connection closed; return the error that says so."""
        self._step(Event.ASSOCIATE_REJECT)
        self._wire.post(encode_rejection(rejection))
        self._await_close()
        return AssociationEndedError(Ending(EndingKind.REJECTED, rejection.why or rejection.words, rejection))

    def request(self, request: AssociateRequest) -> AssociateAccept:
        """As requestor, on a connected socket: propose the association and wait for the answer.

        Raises:
            AssociationEndedError: rejected (the ending holds the rejection), or no answer.
        """
        self._step(Event.ASSOCIATE_REQUEST)
        self._step(Event.TRANSPORT_CONFIRMED)
        self._send([encode_request(request)])
        self._wire.expect(Patience("association answer", self._limits.response_seconds))
        self._next_pdu()
        assert isinstance(self._decoded, AssociateAccept)  # nothing else leads from Sta5 to here
        self._reserve()
        return self._decoded

    def next_data(self) -> tuple[int, int]:
        """Wait for the next P-DATA-TF PDU; return offset and length of its values in `Wire.buffer`.

        A release the peer asks for is confirmed here, an abort taken, a violation answered; each of them
        ends the association.

        Raises:
            AssociationEndedError: the association is over.
        """
        kind, offset, length = self._next_pdu()
        if kind == PduType.DATA:
            return offset, length
        self._step(Event.RELEASE_RESPONSE)  # nothing but a release request leads from Sta6 to here
        self._wire.post(RELEASE_RP)
        self._await_close()
        raise AssociationEndedError(Ending(EndingKind.RELEASED))

    def spoken_within(self, seconds: float) -> bool:
        """Wait so long at most for something of the peer; `next_data` then reads it.

        Raises:
            AssociationEndedError: it has been silent for too long.
        """
        try:
            return self._wire.wait(seconds)
        except PeerTooSlowError as error:
            raise self._out_of_patience(str(error)) from error

    def send_data(self, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        """Send P-DATA-TF PDUs, in one system call where the kernel takes them.

        Raises:
            AssociationEndedError: the association is over.
        """
        if not self.established:
            raise AssociationEndedError(Ending(EndingKind.CLOSED, "no association"))
        self._send(parts)  # DT-1: stays in Sta6

    def release(self) -> None:
        """Ask for the release and wait for it; releases of both sides may cross (PS3.8 7.2.2).

        Raises:
            AssociationEndedError: it ended otherwise.
        """
        if not self.established:
            return
        self._step(Event.RELEASE_REQUEST)
        self._send([RELEASE_RQ])
        self._wire.expect(Patience("release", self._limits.artim_seconds))
        while self.state is not State.IDLE:
            self._next_pdu()
            if self.state in _COLLIDED:
                self._step(Event.RELEASE_RESPONSE)
                self._send([RELEASE_RP])
            if self.state is State.AWAIT_CLOSE:
                self._await_close()

    def abort(self, words: str = "", kind: EndingKind = EndingKind.ABORTED) -> AssociationEndedError:
        """Abort as the service user (A-ABORT source 0); return the error that says so."""
        if self.state not in _OVER:
            self._step(Event.ABORT_REQUEST)
        return AssociationEndedError(Ending(kind, words))

    def violation(
        self, words: str, reason: AbortReason = AbortReason.INVALID_PARAMETER_VALUE
    ) -> AssociationEndedError:
        """Answer what is no valid PDU with an A-ABORT; return the error that says so."""
        self._fault = reason
        self._step(Event.INVALID_PDU)
        return AssociationEndedError(Ending(EndingKind.VIOLATION, words))

    def close(self) -> None:
        """Close the connection whatever the state; a standing association is aborted first."""
        if self.state not in _OVER and self.state is not State.AWAIT_ASSOCIATE_REQUEST:
            self.abort()
        self._wire.close()
        self.state = State.IDLE

    def _next_pdu(self) -> tuple[int, int, int]:
        """Return type, offset and length of a PDU that leaves something to do; all other ways out raise."""
        how = EndingKind.CLOSED
        try:
            kind, length = self._wire.next_header()
            how = EndingKind.CUT_OFF
            if kind == PduType.DATA and self.state is State.ESTABLISHED and self._fits(length):
                return kind, self._wire.take(length), length  # DT-2: stays in Sta6; every image passes here
            event = self._judge(kind, length)
            offset = self._wire.take(length)
        except TransportClosedError as error:
            raise self._transport_gone(str(error), how) from error
        except PeerTooSlowError as error:
            raise self._out_of_patience(str(error)) from error
        self._decode(kind, offset, length)
        self._fault = AbortReason.UNEXPECTED_PDU
        action = self._step(event)
        if action in (Action.AA_1, Action.AA_8):
            raise AssociationEndedError(Ending(EndingKind.VIOLATION, f"PDU of type {kind} out of turn"))
        if isinstance(self._decoded, Abort):
            words = f"source {self._decoded.source}, reason {self._decoded.reason}"
            raise AssociationEndedError(Ending(EndingKind.PEER_ABORTED, words))
        if isinstance(self._decoded, Rejection):
            raise AssociationEndedError(
                Ending(EndingKind.REJECTED, self._decoded.words, rejection=self._decoded)
            )
        return kind, offset, length

    def _judge(self, kind: int, length: int) -> Event:
        """Tell the event of a PDU header before one byte more is waited for."""
        event = _EVENTS.get(kind)
        if event is None:
            raise self.violation(f"PDU of type {kind}", AbortReason.UNRECOGNIZED_PDU)
        if kind == PduType.DATA:
            fits = self._fits(length)
        elif kind <= PduType.ASSOCIATE_AC:
            fits = length <= self._limits.associate_bytes
        else:
            fits = length <= _SMALL_PDU_BYTES
        if not fits:
            raise self.violation(f"PDU of type {kind} with {length} bytes")
        return event

    def _fits(self, length: int) -> bool:
        return PDV_OVERHEAD <= length <= self._most_data_bytes

    def _decode(self, kind: int, offset: int, length: int) -> None:
        decode = _DECODERS.get(kind)
        try:
            with memoryview(self._wire.buffer) as view:
                self._decoded = decode(view[offset : offset + length]) if decode else None
        except MalformedPduError as error:
            raise self.violation(str(error), error.reason) from error

    def _step(self, event: Event) -> Action:
        """Take one step of the table and do what its action says to the connection."""
        action, self.state = after(self.state, event, self._role)
        if action in _CLOSING:
            self._wire.close()
        elif action is Action.AA_1:
            self._wire.post(encode_abort(AbortSource.USER))
            self._await_close()
        elif action is Action.AA_8:
            self._wire.post(encode_abort(AbortSource.PROVIDER, self._fault))
            self._await_close()
        return action

    def _await_close(self) -> None:
        """Sta13: pass over what still comes until the peer closes, for `close_seconds` at most."""
        self._wire.expect_last(Patience("close", self._limits.close_seconds))
        while self.state is State.AWAIT_CLOSE:
            event = self._closing_event()
            action, self.state = after(self.state, event, self._role)
            if action is Action.AA_7:
                self._wire.post(encode_abort(AbortSource.PROVIDER, AbortReason.UNEXPECTED_PDU))
        self._wire.close()

    def _closing_event(self) -> Event:
        try:
            kind, length = self._wire.next_header()
            if kind in _EVENTS:
                self._wire.skip(length)
            else:
                self._wire.skip(1 << 62)  # nothing tells where the next PDU begins: to the end, or the limit
        except TransportClosedError:
            return Event.TRANSPORT_CLOSED
        except PeerTooSlowError:
            return Event.ARTIM_EXPIRED
        return _EVENTS[kind]

    def _send(self, parts: Sequence[bytes | bytearray | memoryview]) -> None:
        try:
            self._wire.send(parts)
        except TransportClosedError as error:
            raise self._transport_gone(str(error)) from error
        except PeerTooSlowError as error:
            raise self._out_of_patience(str(error)) from error

    def _transport_gone(self, words: str, how: EndingKind = EndingKind.CLOSED) -> AssociationEndedError:
        if self.stopping and self.established:
            return self.abort(GIVING_WAY)
        self._step(Event.TRANSPORT_CLOSED)
        return AssociationEndedError(Ending(how, words))

    def _out_of_patience(self, words: str) -> AssociationEndedError:
        if self.state is State.AWAIT_ASSOCIATE_REQUEST:
            self._step(Event.ARTIM_EXPIRED)
            return AssociationEndedError(Ending(EndingKind.TOO_SLOW, words))
        return self.abort(words, EndingKind.TOO_SLOW)

    def _reserve(self) -> None:
        self._wire.make_roomy(_BUFFERED_PDUS * self._most_data_bytes)
