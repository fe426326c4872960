"""The phantoms as DICOM files, for whoever wants something to push."""

from pathlib import Path

from dgis.demo import kinds, phantoms
from dgis.demo.people import PEOPLE
from storage_nodes.record.part10 import file_head

_IMAGES = 10  # of each series: enough to look at, sent in a second


def write_files(folder: Path, images: int = _IMAGES) -> int:
    """Write a CT, an MR and a PET series of three invented patients, a folder each; return how many files.

    Raises:
        OSError: the folder cannot be written.
    """
    written = 0
    for kind, person in zip((kinds.CT, kinds.MR, kinds.PET), PEOPLE, strict=True):
        place = folder / kind.modality.lower()
        place.mkdir(parents=True, exist_ok=True)
        for number, one in enumerate(phantoms.series(kind, person, images), start=1):
            head = file_head(one.sop_class_uid, one.sop_instance_uid, one.transfer_syntax)
            (place / f"{number:03}.dcm").write_bytes(head + one.dataset)
            written += 1
    return written
