"""DIMSE messages on an association: commands and data sets in and out (PS3.7 section 6.3, annex F)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from time import monotonic
from typing import NamedTuple

from dgis.dimse.commands import Command, MalformedCommandError, decode_command, encode_command
from dgis.dimse.endings import AssociationEndedError
from dgis.dimse.fragments import Buffer, data_pdus, gathered, single_pdu
from dgis.dimse.limits import Limits
from dgis.dimse.pdu import (
    CONTROL_COMMAND,
    CONTROL_LAST,
    PDV_HEADER,
    PDV_LENGTH_FIELD,
    PDV_OVERHEAD,
    AbortReason,
)
from dgis.dimse.proposal import AgreedContext
from dgis.dimse.upper_layer import GIVING_WAY, UpperLayer
from dgis.dimse.wire import Patience, Wire


class Message(NamedTuple):
    """A command that arrived and the context it came on; its data set, if any, is still to come."""

    context: AgreedContext
    command: Command


class Association:
    """A standing association: one operation at a time, in either direction."""

    def __init__(
        self,
        upper_layer: UpperLayer,
        wire: Wire,
        contexts: Mapping[int, AgreedContext],
        peer_max_pdu_bytes: int,
        limits: Limits,
    ) -> None:
        self.contexts = contexts
        self.idle_since: float | None = None  # monotonic seconds; None during a message or an operation
        self._upper = upper_layer
        self._wire = wire
        self._limits = limits
        most = limits.send_pdu_bytes
        self._send_pdu_bytes = min(peer_max_pdu_bytes, most) if peer_max_pdu_bytes else most
        self._left = 0  # bytes of the current PDU that are not read yet, and where they begin
        self._offset = 0
        self._empty_values = 0  # in a row
        self._held: list[Buffer] = []  # a response that may go out together with the next message
        rate, window = limits.minimum_bytes_per_second, limits.window_seconds
        self._in_message = Patience("message", limits.message_seconds, rate, window)
        self._between = Patience("idle", limits.idle_seconds)
        self._for_response = Patience("response", limits.response_seconds)

    @property
    def established(self) -> bool:
        """Whether messages can still pass."""
        return self._upper.established

    def next_message(self) -> Message:
        """Wait for the next command of the peer, `idle_seconds` at most.

        Raises:
            AssociationEndedError: the association is over.
        """
        self._wire.expect(self._between)
        self.idle_since = monotonic()
        if self._upper.stopping:  # looked at after `idle_since`, as `stop` sets it before it looks there
            raise self._upper.abort(GIVING_WAY)
        return self._read_command()

    def spoken_within(self, seconds: float) -> bool:
        """Wait so long at most for the peer to say something; `next_message` then reads it.

        However often it is called, the peer's silence adds up to `idle_seconds` and no more.

        Raises:
            AssociationEndedError: the association is over.
        """
        if self.idle_since is None:
            self._wire.expect(self._between)
            self.idle_since = monotonic()
        if self._upper.stopping:
            raise self._upper.abort(GIVING_WAY)
        return bool(self._left) or self._upper.spoken_within(seconds)

    def next_response(self) -> Message:
        """Wait for the next command while an operation of ours is open, `response_seconds` at most.

        Raises:
            AssociationEndedError: the association is over.
        """
        self.idle_since = None
        self._wire.expect(self._for_response)
        return self._read_command()

    def peek_message(self) -> Message | None:
        """Return a command that has arrived already, or None without waiting.

        Raises:
            AssociationEndedError: the association is over.
        """
        if not self._left and not self._wire.pending():
            return None
        return self.next_response()

    def receive_data(self, context: AgreedContext, consume: Callable[[memoryview], None]) -> None:
        """Hand the pieces of a data set to `consume` as they come; each is valid during its call only.

        Raises:
            AssociationEndedError: the association is over before the data set is.
        """
        last = False
        while not last:
            context_id, control, payload = self._next_value()
            if context_id != context.context_id or control & CONTROL_COMMAND:
                raise self._upper.violation("a command inside a data set", AbortReason.UNEXPECTED_PDU)
            consume(payload)
            last = bool(control & CONTROL_LAST)

    def receive_small_data(
        self, context: AgreedContext, may_keep: Callable[[int], bool] = lambda _size: True
    ) -> bytes | None:
        """Return a whole data set that is kept in memory, or None where it is not kept.

        That is where it passes `identifier_bytes`, or where `may_keep` says so of the size of a piece.

        Raises:
            AssociationEndedError: the association is over before the data set is.
        """
        kept = bytearray()
        too_large = False

        def keep(piece: memoryview) -> None:
            nonlocal too_large
            size = len(kept) + len(piece)
            too_large = too_large or size > self._limits.identifier_bytes or not may_keep(len(piece))
            if not too_large:
                kept.extend(piece)

        self.receive_data(context, keep)
        return None if too_large else bytes(kept)

    def discard_data(self, context: AgreedContext) -> None:
        """Read a data set that nobody wants, so that the response keeps its place.

        Raises:
            AssociationEndedError: the association is over before the data set is.
        """
        self.receive_data(context, lambda _piece: None)

    def send(self, context_id: int, command: Command, data: Iterable[Buffer] | None = None) -> None:
        """Send one message, and what was held, with as few system calls as the kernel allows.

        Raises:
            AssociationEndedError: the association is over.
        """
        first, self._held = [*self._held, *self.prepare(context_id, command)], []
        if data is None:
            self._upper.send_data(first)
            return
        for group in gathered(data_pdus(context_id, 0, data, self._send_pdu_bytes), first):
            self._upper.send_data(group)

    def prepare(self, context_id: int, command: Command) -> list[Buffer]:
        """Return the PDUs of a command set, to be held."""
        return self._whole(context_id, CONTROL_COMMAND, encode_command(command))

    def prepare_data(self, context_id: int, data: Iterable[Buffer]) -> list[Buffer]:
        """Return the PDUs of a small data set, to be held."""
        return self._prepared(context_id, 0, data)

    def prepare_identifier(self, context_id: int, data: bytes) -> list[Buffer]:
        """Return the PDUs of a data set of a few bytes, to be held."""
        return self._whole(context_id, 0, data)

    def hold(self, parts: Sequence[Buffer]) -> None:
        """Keep prepared PDUs until `flush`, or until they can leave in front of a message that is sent."""
        self._held += parts

    def flush(self) -> None:
        """Send what is held.

        Raises:
            AssociationEndedError: the association is over.
        """
        held, self._held = self._held, []
        if held:
            self._upper.send_data(held)

    def release(self) -> None:
        """Release the association as its requestor.

        Raises:
            AssociationEndedError: it ended otherwise.
        """
        self._upper.release()
        self._upper.close()

    def abort(self, words: str = "") -> AssociationEndedError:
        """Abort the association; return the error that says so."""
        return self._upper.abort(words)

    def close(self) -> None:
        """Give the connection back, aborting what still stands."""
        self._upper.close()

    def stop(self) -> None:
        """Let an idle association abort now, a busy one after its operation; callable from another thread."""
        self._upper.stopping = True
        if self.idle_since is not None:
            self._wire.wake()

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._upper.stopping

    def _whole(self, context_id: int, control: int, data: bytes) -> list[Buffer]:
        if len(data) <= self._send_pdu_bytes - PDV_OVERHEAD:
            return [single_pdu(context_id, control, data)]
        return self._prepared(context_id, control, (data,))

    def _prepared(self, context_id: int, control: int, chunks: Iterable[Buffer]) -> list[Buffer]:
        pdus = data_pdus(context_id, control, chunks, self._send_pdu_bytes)
        return [part for pdu in pdus for part in pdu]

    def _read_command(self) -> Message:
        context_id, control, payload = self._next_value()
        whole: Buffer = payload
        if not control & CONTROL_LAST:
            kept = bytearray(payload)
            while not control & CONTROL_LAST and control & CONTROL_COMMAND:
                following_id, control, payload = self._next_value()
                if following_id != context_id or len(kept) + len(payload) > self._limits.command_bytes:
                    raise self._upper.violation("a command set without end")
                kept += payload
            whole = kept
        context = self.contexts.get(context_id)
        if not control & CONTROL_COMMAND or context is None:
            words = "no such presentation context" if context is None else "a data set without a command"
            raise self._upper.violation(words, AbortReason.UNEXPECTED_PDU)
        try:
            return Message(context, decode_command(whole))
        except MalformedCommandError as error:
            raise self._upper.violation(str(error)) from error

    def _next_value(self) -> tuple[int, int, memoryview]:
        """Return context ID, control header and payload of the next presentation data value."""
        if not self._left:
            self._offset, self._left = self._upper.next_data()
            if self.idle_since is not None:
                self.idle_since = None
                self._wire.expect(self._in_message)
        if self._left < PDV_OVERHEAD:
            raise self._upper.violation(f"{self._left} stray bytes in a P-DATA-TF")
        buffer = self._wire.buffer
        length, context_id, control = PDV_HEADER.unpack_from(buffer, self._offset)
        if not PDV_OVERHEAD - PDV_LENGTH_FIELD <= length <= self._left - PDV_LENGTH_FIELD:
            raise self._upper.violation(f"data value of {length} bytes, {self._left} are left")
        start = self._offset + PDV_OVERHEAD
        end = self._offset + PDV_LENGTH_FIELD + length
        self._left -= end - self._offset
        self._offset = end
        self._empty_values = self._empty_values + 1 if start == end else 0
        if self._empty_values > self._limits.most_empty_values:
            raise self._upper.violation("data values without a byte, and no end of them")
        return context_id, control, memoryview(buffer)[start:end]
