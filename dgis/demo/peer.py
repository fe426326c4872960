"""A hospital's and a researcher's workstation: pynetdicom clients that keep the bytes as they came."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, build_role, evt

from dgis.demo.gateway import DemoError
from dgis.demo.kinds import CT, MR, PET
from dgis.demo.phantoms import Instance

_CLASSES = tuple(kind.sop_class_uid for kind in (CT, MR, PET))
# Study Root Query/Retrieve Information Model (PS3.4 C.6.2.3)
_FIND, _MOVE, _GET = (f"1.2.840.10008.5.1.4.1.2.2.{number}" for number in (1, 2, 3))
_PENDING = {0xFF00, 0xFF01}
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
        with self._associated(_CLASSES) as association:
            stored = 0
            for instance in instances:
                answer = association.send_c_store(_parse(instance.dataset))
                stored += answer.get("Status") == 0
                sent()
            return stored

    def find(self, keys: Mapping[str, str]) -> list[Dataset]:
        """Query studies; every keyword is a key, an empty one asks for the value back."""
        with self._associated((_FIND,)) as association:
            answers = association.send_c_find(_identifier(keys), _FIND)
            return [found for status, found in answers if status.get("Status") in _PENDING and found]

    def get(self, study_uids: Iterable[str], came: Callable[[], None]) -> list[Image]:
        """Fetch whole studies by C-GET."""
        images: list[Image] = []
        with self._associated((_GET, *_CLASSES), _keep(images, came), provider=True) as association:
            for study_uid in study_uids:
                keys = _identifier({"StudyInstanceUID": study_uid})
                for _ in association.send_c_get(keys, _GET):
                    pass
        return images

    def move(self, study_uids: Iterable[str], destination: str) -> None:
        """Have whole studies sent to another AE title by C-MOVE."""
        with self._associated((_MOVE,)) as association:
            for study_uid in study_uids:
                keys = _identifier({"StudyInstanceUID": study_uid})
                model = _MOVE
                for _ in association.send_c_move(keys, destination, model):
                    pass

    @contextmanager
    def _associated(
        self, classes: Sequence[str], handlers: Sequence[Any] = (), *, provider: bool = False
    ) -> Iterator[Any]:
        entity = _entity(self.title)
        for uid in classes:
            entity.add_requested_context(uid, ExplicitVRLittleEndian)
        roles: list[Any] = [build_role(uid, scp_role=True) for uid in _CLASSES] if provider else []
        host, port = self._gateway
        association = entity.associate(
            host, port, ae_title="DGIS", ext_neg=roles, evt_handlers=list(handlers)
        )
        if not association.is_established:
            raise DemoError(f"the gateway did not accept an association from {self.title}")
        try:
            yield association
        finally:
            association.release()


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


def _identifier(keys: Mapping[str, str]) -> Dataset:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.QueryRetrieveLevel = "STUDY"
    for keyword, value in keys.items():
        setattr(dataset, keyword, value)
    return dataset


def _parse(raw: bytes) -> Dataset:
    dataset = dcmread(BytesIO(raw), force=True)
    dataset.ensure_file_meta()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset
