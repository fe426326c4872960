"""What is fetched, as DICOM files: the data set as it came, behind a file meta of our own."""

from pathlib import Path

from dgis.retriever.outgoing import Sendable
from storage_nodes.record.part10 import file_head


def write_part10(instance: Sendable, folder: Path) -> Path:
    """Write one instance to `<folder>/<SOP Instance UID>.dcm`; a file of that name is replaced, whole.

    Raises:
        OSError: the folder cannot be written.
        dgis.retriever.records.NotHere: it cannot be had now.
        ValueError: the UID is no UID; it becomes a file name.
    """
    uid = instance.sop_instance_uid
    if not uid or set(uid) - set("0123456789."):
        raise ValueError("a SOP Instance UID has digits and dots only")
    path = folder / f"{uid}.dcm"
    unfinished = path.with_name(f".{uid}.part")
    try:
        with unfinished.open("wb") as file:
            file.write(file_head(instance.sop_class_uid, uid, instance.transfer_syntax))
            for chunk in instance.open():
                file.write(chunk)
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    return path
