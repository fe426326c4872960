"""Instance Availability Notification as user (PS3.4 annex R): N-CREATE of what can be retrieved from here."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pydicom.dataset import Dataset

from dgis.dimse.client import NoContextError, associate
from dgis.dimse.limits import Limits
from dgis.dimse.references import Reference, encoded, references_of
from dgis.dimse.requestor import Party, Proposal
from dgis.dimse.status import Status, is_warning
from dgis.dimse.uids import EXPLICIT_LE, IMPLICIT_LE, INSTANCE_AVAILABILITY

_PROPOSALS = (Proposal(INSTANCE_AVAILABILITY, (EXPLICIT_LE, IMPLICIT_LE)),)


@dataclass(frozen=True, slots=True)
class Available:
    """The instances of one series that can be retrieved, and the UIDs by which they can."""

    study_instance_uid: str = field(repr=False)
    series_instance_uid: str = field(repr=False)
    instances: Sequence[Reference] = field(repr=False)


def write_available(available: Available, retrieve_ae: str, transfer_syntax: str) -> bytes:
    """Return the attributes of a notification (PS3.4 table R.3.2-1); no procedure step is known."""
    items = references_of(available.instances)
    for item in items:
        item.InstanceAvailability = "ONLINE"
        item.RetrieveAETitle = retrieve_ae
    series = Dataset()
    series.SeriesInstanceUID = available.series_instance_uid
    series.ReferencedSOPSequence = items
    data = Dataset()
    data.ReferencedPerformedProcedureStepSequence = []
    data.StudyInstanceUID = available.study_instance_uid
    data.ReferencedSeriesSequence = [series]
    return encoded(data, transfer_syntax)


def notify(party: Party, sop_instance_uid: str, available: Available, limits: Limits) -> str | None:
    """Send one notification over an association of its own; returns what was wrong in words, or None.

    An instance that is there already (0x0111) is what an earlier attempt made.

    Raises:
        AssociationEndedError: not connected, rejected, or ended meanwhile.
    """
    with associate(party, _PROPOSALS, limits) as client:
        try:
            context = client.context(INSTANCE_AVAILABILITY)
        except NoContextError:
            return "the destination accepts no Instance Availability Notification"
        data = write_available(available, party.calling_ae, context.transfer_syntax)
        status = client.create(context, sop_instance_uid, data).status
    if status in (Status.SUCCESS, Status.DUPLICATE_INSTANCE) or is_warning(status):
        return None
    return f"the notification was answered with status 0x{status:04X}"
