"""pynetdicom as a listener for Instance Availability Notifications."""

from pynetdicom import AE, evt
from pynetdicom.sop_class import InstanceAvailabilityNotification, Verification


class Notified:
    """An acceptor of N-CREATE while it is entered; `notices` are (SOP Instance UID, attributes), in order."""

    def __init__(self, title, answers=(), *, takes=True):
        self.notices = []
        self._answers = list(answers)
        self._ae = AE(title)
        self._ae.add_supported_context(InstanceAvailabilityNotification if takes else Verification)

    def __enter__(self):
        handlers = [(evt.EVT_N_CREATE, self._handle)]
        self._server = self._ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        self.port = self._server.socket.getsockname()[1]
        return self

    def __exit__(self, *_details):
        self._server.shutdown()

    def _handle(self, event):
        self.notices.append((str(event.request.AffectedSOPInstanceUID), event.attribute_list))
        status = self._answers.pop(0) if self._answers else 0x0000
        return status, event.attribute_list if status == 0 else None


def instances(data):
    """The (class, instance) pairs of a notification, in order."""
    return [
        (item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID)
        for series in data.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    ]
