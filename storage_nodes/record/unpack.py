"""From a record to DICOM files that any program reads."""

from collections.abc import Iterator
from pathlib import Path

from storage_nodes.record.part10 import file_head
from storage_nodes.record.reader import RecordReader
from storage_nodes.record.values import Buffer


def part10(reader: RecordReader, instance: int) -> Iterator[Buffer]:
    """Give one instance as a file (DICOM PS3.10), piece by piece."""
    entry = reader.instances[instance]
    yield file_head(entry.sop_class_uid, entry.sop_instance_uid, entry.transfer_syntax)
    yield from reader.dataset(instance)


def unpack(reader: RecordReader, folder: Path) -> Iterator[Path]:
    """Write every instance to `<folder>/<SOP Instance UID>.dcm`, and tell each file as it is complete.

    A file of that name is replaced; what a failure leaves behind is called `*.part`.

    Raises:
        DamagedRecordError: at the first damaged instance; those told before are whole.
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number, entry in enumerate(reader.instances):
        path = folder / f"{entry.sop_instance_uid}.dcm"  # digits and dots only, checked with the index
        unfinished = path.with_name(f"{path.name}.part")
        with unfinished.open("wb") as file:
            for piece in part10(reader, number):
                file.write(piece)
        unfinished.replace(path)
        yield path
