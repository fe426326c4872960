"""pynetdicom on the other side of storage commitment: it asks, and it listens for reports."""

import threading
from dataclasses import dataclass, field

from pydicom.dataset import Dataset
from pynetdicom import AE, build_role, evt
from pynetdicom.dimse_primitives import N_EVENT_REPORT
from pynetdicom.sop_class import StorageCommitmentPushModel

from tests.gateway import wait_until

INSTANCE = "1.2.840.10008.1.20.1.1"


@dataclass
class Told:
    """One report as it came."""

    event_type: int
    transaction: str
    committed: list[tuple[str, str]]
    failed: list[tuple[str, str, int]]
    data: Dataset = field(repr=False)


def action(transaction, pairs):
    """Action information for (class, instance) pairs."""
    data = Dataset()
    data.TransactionUID = transaction
    data.ReferencedSOPSequence = []
    for sop_class, instance in pairs:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, instance
        data.ReferencedSOPSequence.append(item)
    return data


def told(event):
    """Read an N-EVENT-REPORT."""
    data = event.event_information
    committed = data.get("ReferencedSOPSequence", [])
    failed = data.get("FailedSOPSequence", [])
    return Told(
        event.request.EventTypeID,
        str(data.TransactionUID),
        [(each.ReferencedSOPClassUID, each.ReferencedSOPInstanceUID) for each in committed],
        [(e.ReferencedSOPClassUID, e.ReferencedSOPInstanceUID, e.FailureReason) for e in failed],
        data,
    )


class Inbox:
    """Reports that came, and how they are answered: a status, or None to abort instead."""

    def __init__(self, answers=()):
        self.reports = []
        self.roles = []
        self._answers = list(answers)
        self._lock = threading.Lock()

    def handle(self, event):
        with self._lock:
            self.reports.append(told(event))
            status = self._answers.pop(0) if self._answers else 0x0000
        if status is None:
            event.assoc.abort()
            return 0x0110, None
        return status, None

    def wait(self, count=1, seconds=60):
        wait_until(lambda: len(self.reports) >= count, seconds, f"{count} reports have come")
        return self.reports


class Listener(Inbox):
    """A pynetdicom acceptor that is called with reports while it is entered."""

    def __init__(self, title, answers=(), port=0, *, with_role=True):
        super().__init__(answers)
        self._ae = AE(title)
        self._port, self._with_role = port, with_role
        roles = {"scu_role": False, "scp_role": True} if with_role else {}
        self._ae.add_supported_context(StorageCommitmentPushModel, **roles)

    def __enter__(self):
        handlers = [(evt.EVT_N_EVENT_REPORT, self.handle), (evt.EVT_REQUESTED, self._requested)]
        self._server = self._ae.start_server(("127.0.0.1", self._port), block=False, evt_handlers=handlers)
        self.port = self._server.socket.getsockname()[1]
        return self

    def __exit__(self, *_details):
        self._server.shutdown()

    def _requested(self, event):
        proposed = event.assoc.requestor.role_selection.values()
        self.roles += [(str(item.sop_class_uid), item.scu_role, item.scp_role) for item in proposed]


class Requestor(Inbox):
    """A pynetdicom association that asks for commitments, and takes reports while it stands."""

    def __init__(self, address, title, answers=(), contexts=(), called="DGIS"):
        super().__init__(answers)
        self._ae = AE(title)
        self._ae.dimse_timeout = self._ae.acse_timeout = self._ae.network_timeout = 60
        self._ae.add_requested_context(StorageCommitmentPushModel)
        for context in contexts:
            self._ae.add_requested_context(context)
        self._address, self._called = address, called
        self._answered = 0

    def __enter__(self):
        handlers = [(evt.EVT_N_EVENT_REPORT, self.handle)]
        self.association = self._ae.associate(*self._address, ae_title=self._called, evt_handlers=handlers)
        assert self.association.is_established
        self._send = self.association.dimse.send_msg
        self.association.dimse.send_msg = self._sent
        return self

    def __exit__(self, *_details):
        # pynetdicom releases also while it answers a report; the answer then breaks its own state machine.
        wait_until(self._all_answered, 60, "the reports that came are answered")
        self.association.release()

    def _sent(self, primitive, context_id):
        self._send(primitive, context_id)
        self._answered += isinstance(primitive, N_EVENT_REPORT)

    def _all_answered(self):
        return self._answered >= len(self.reports) or not self.association.is_established

    def ask(self, transaction, pairs, action_type=1, instance=INSTANCE):
        """Send an N-ACTION; returns its status."""
        status, _reply = self.association.send_n_action(
            action(transaction, pairs), action_type, StorageCommitmentPushModel, instance
        )
        # pynetdicom's thread sleeps while an answer is awaited. To a message sent before it woke it counts as
        # paused, yet may take the answer to that: the sooner it comes, the likelier.
        wait_until(self._runs_again, 60, "pynetdicom runs again")
        return status.Status

    def _runs_again(self):
        return not (self.association._is_paused and self.association.is_established)


__all__ = ["Inbox", "Listener", "Requestor", "Told", "action", "build_role", "told"]
