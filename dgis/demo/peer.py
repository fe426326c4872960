"""A hospital's and a researcher's workstation, which keep the bytes as they came.

They ask with this project's own client. pynetdicom's loses a response now and then when the provider is fast
(its reactor thread wakes between two requests and takes the answer), and then waits out its time limit.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, evt

from dgis.demo.kinds import CT, MR, PET
from dgis.demo.phantoms import Instance, encode
from dgis.dimse.client import Client, associate
from dgis.dimse.commands import Command
from dgis.dimse.proposal import AgreedContext, Roles
from dgis.dimse.requestor import Party, Proposal, Terms
from dgis.dimse.status import is_pending

_CLASSES = tuple(kind.sop_class_uid for kind in (CT, MR, PET))
# Study Root Query/Retrieve Information Model (PS3.4 C.6.2.3)
_FIND, _MOVE, _GET = (f"1.2.840.10008.5.1.4.1.2.2.{number}" for number in (1, 2, 3))
_SYNTAX = str(ExplicitVRLittleEndian)
_TIMEOUT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Image:
    """One received image."""

    sop_instance_uid: str
    dataset: bytes = field(repr=False)

    @property
    def sha256(self) -> str:
        """Digest of the data set as it came."""
        return hashlib.sha256(self.dataset).hexdigest()

    @property
    def pixels(self) -> bytes:
        """The value of the pixel data element."""
        return bytes(_parse(self.dataset).PixelData)


class Peer:
    """One AE title that stores, asks and fetches."""

    def __init__(self, title: str, gateway: tuple[str, int]) -> None:
        self.title, self._gateway = title, gateway

    def store(self, instances: Iterable[Instance], sent: Callable[[], None]) -> int:
        """Send images over one association; returns how many were answered with success."""
        with self._associated(_CLASSES) as client:
            stored = 0
            for instance in instances:
                context = client.context(instance.sop_class_uid)
                stored += client.store(context, instance.sop_instance_uid, [instance.dataset]).status == 0
                sent()
            return stored

    def find(self, keys: Mapping[str, str]) -> list[Dataset]:
        """Query studies; every keyword is a key, an empty one asks for the value back."""
        with self._associated((_FIND,)) as client:
            answers = client.find(client.context(_FIND), _identifier(keys))
            return [_parse(each.data) for each in answers if is_pending(each.status) and each.data]

    def get(self, study_uids: Iterable[str], came: Callable[[], None]) -> list[Image]:
        """Fetch whole studies by C-GET."""
        images: list[Image] = []

        def keep(_context: AgreedContext, command: Command, data: bytes) -> int:
            images.append(Image(command.sop_instance or "", data))
            came()
            return 0

        with self._associated((_GET, *_CLASSES), provider=True) as client:
            for study_uid in study_uids:
                identifier = _identifier({"StudyInstanceUID": study_uid})
                for _ in client.get(client.context(_GET), identifier, keep):
                    pass
        return images

    def move(self, study_uids: Iterable[str], destination: str) -> None:
        """Have whole studies sent to another AE title by C-MOVE."""
        with self._associated((_MOVE,)) as client:
            for study_uid in study_uids:
                identifier = _identifier({"StudyInstanceUID": study_uid})
                for _ in client.move(client.context(_MOVE), identifier, destination):
                    pass

    def _associated(
        self, classes: Sequence[str], *, provider: bool = False
    ) -> AbstractContextManager[Client]:
        host, port = self._gateway
        roles = {uid: Roles(scu=True, scp=True) for uid in _CLASSES} if provider else {}
        proposals = [Proposal(uid, (_SYNTAX,)) for uid in classes]
        return associate(Party(host, port, "DGIS", self.title), proposals, terms=Terms(roles=roles))


@contextmanager
def workstation(title: str) -> Iterator[tuple[int, list[Image]]]:
    """Listen as a C-MOVE destination; yields the port and the list that fills with what comes."""
    entity = _entity(title)
    for uid in _CLASSES:
        entity.add_supported_context(uid, ExplicitVRLittleEndian)
    images: list[Image] = []
    server: Any = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=_keep(images, lambda: None))
    try:
        yield server.server_address[1], images
    finally:
        server.shutdown()


def _entity(title: str) -> AE:
    entity = AE(ae_title=title)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = _TIMEOUT_SECONDS
    return entity


def _keep(images: list[Image], came: Callable[[], None]) -> list[Any]:
    def handle(event: Any) -> int:  # noqa: ANN401 - pynetdicom types it as a union of every service
        images.append(Image(str(event.request.AffectedSOPInstanceUID), event.request.DataSet.getvalue()))
        came()
        return 0

    return [(evt.EVT_C_STORE, handle)]


def _identifier(keys: Mapping[str, str]) -> bytes:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.QueryRetrieveLevel = "STUDY"
    for keyword, value in keys.items():
        setattr(dataset, keyword, value)
    return encode(dataset)


def _parse(raw: bytes) -> Dataset:
    dataset = dcmread(BytesIO(raw), force=True)
    dataset.ensure_file_meta()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset
