"""What a question finds: asked when it is needed, page by page."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from dgis.client import dicom_json
from dgis.client.dicom_json import Row
from dgis.client.downloading import Downloaded, Manner, Wanted, download
from dgis.client.errors import BadQueryError, GridError, NotFoundError
from dgis.client.gathering import GatheredCohort, gather
from dgis.client.searching import search
from dgis.client.transport import Transport

if TYPE_CHECKING:  # they take a second to load, and most questions need none of them
    import pandas as pd

    from dgis.client.volume.reading import Volumes
    from dgis.client.volume.values import Volume, Voxels


class Level(Enum):
    """What is looked for: path of the search (PS3.18 table 10.6.1-1), unique key, usual columns."""

    STUDIES = ("studies", "StudyInstanceUID", ("StudyDate", "ModalitiesInStudy", "StudyDescription"))
    SERIES = (
        "series",
        "SeriesInstanceUID",
        (
            "Modality",
            "SeriesNumber",
            "SeriesDescription",
            "BodyPartExamined",
            "NumberOfSeriesRelatedInstances",
        ),
    )
    INSTANCES = ("instances", "SOPInstanceUID", ("SOPClassUID", "InstanceNumber", "Rows", "Columns"))

    def __init__(self, path: str, key: str, columns: Sequence[str]) -> None:
        self.path = path
        self.key = key
        self.columns = tuple(columns)


@dataclass(frozen=True)
class Selection:
    """Studies, series or instances that match; nothing is asked before something of it is wanted.

    Iterating gives rows, keyword to value. A selection asks once; make it anew to ask again.
    """

    transport: Transport = field(repr=False)
    level: Level
    keys: tuple[tuple[str, str], ...] = ()
    columns: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """All matches, in the order of the gateway.

        Raises:
            GridError: the gateway does not answer, or refuses.
        """
        return tuple(matches(self))

    def studies(self, **keys: object) -> "Selection":
        """Return the studies of the same question, narrowed by more keys."""
        return self._narrowed(Level.STUDIES, keys)

    def series(self, **keys: object) -> "Selection":
        """Return the series of the same question, narrowed by more keys."""
        return self._narrowed(Level.SERIES, keys)

    def instances(self, **keys: object) -> "Selection":
        """Return the instances of the same question, narrowed by more keys."""
        return self._narrowed(Level.INSTANCES, keys)

    def with_columns(self, *keywords: str) -> "Selection":
        """Return the same selection with more attributes in its rows."""
        return Selection(self.transport, self.level, self.keys, (*self.columns, *keywords))

    def to_pandas(self) -> "pd.DataFrame":
        """Return a table, a row a match; numbers and dates as such.

        Raises:
            GridError: as `rows`, or pandas is not installed.
        """
        try:
            from dgis.client.tables import table  # noqa: PLC0415 (pandas takes a second, and is an extra)
        except ModuleNotFoundError as error:
            raise GridError(f"tables need {error.name}: pip install 'dgis[client]'") from error
        return table(self.rows, (self.level.key, *self.level.columns, *self.columns))

    def download(self, folder: Path | str, *, workers: int = 4, progress: bool = True) -> Downloaded:
        """Fetch the DICOM files to `folder/study/series/instance.dcm`, with SHA256SUMS beside them.

        What is there and has its checksum is not fetched again. The commit point of a file is its rename;
        a file without a line in SHA256SUMS counts as not there.

        Raises:
            IncompleteError: some could not be had; running it again fetches what is missing.
            GridError: the gateway does not answer, or refuses.
            OSError: a file cannot be written.
        """
        return download(self.transport, wanted(self), Path(folder), Manner(workers, progress=progress))

    def volumes(self) -> "Volumes":
        """Fetch one series and return all its volumes, and what is no part of any.

        Raises:
            GridError: as `download`, or this is not one series.
            VolumeError: nothing there is an image, or pixels cannot be decoded.
        """
        from dgis.client.volume.reading import read_volumes  # noqa: PLC0415 (as above)

        found = wanted(self)
        if len(found) != 1:
            raise BadQueryError(f"a volume is of one series, these are {len(found)}; narrow the selection")
        with TemporaryDirectory(prefix="dgis-") as folder:
            download(self.transport, found, Path(folder))
            return read_volumes(sorted(Path(folder).rglob("*.dcm")))

    def volume(self) -> "Volume":
        """Fetch one series that is one volume.

        Raises:
            GridError: as `volumes`.
            VolumeError: as `volumes`; or it is several.
        """
        from dgis.client.volume.values import VolumeError  # noqa: PLC0415 (as above)

        found = self.volumes().volumes
        if len(found) > 1:
            shapes = ", ".join(str(volume.array.shape) for volume in found)
            raise VolumeError(f"the series is {len(found)} volumes ({shapes}); take .volumes()")
        return found[0]

    def array(self) -> "Voxels":
        """Fetch one series and return its voxels in real units: (slices, rows, columns)."""
        return self.volume().array

    def cohort(self) -> GatheredCohort:
        """Write down the series of this selection, whole, so that the same set can be had later.

        Raises:
            RefusedError: this login may see originals, whose UIDs are no pseudonyms.
            GridError: nothing matches, or the gateway does not answer.
        """
        whole = [Wanted(each.study, each.series) for each in wanted(self)]
        keys = dict(sorted(self.keys))
        return gather(self.transport, whole, {"level": self.level.path, "keys": keys})

    def _narrowed(self, level: Level, keys: dict[str, object]) -> "Selection":
        more = tuple((name, text(name, value)) for name, value in keys.items())
        names = {name for name, _ in more}
        kept = tuple(pair for pair in self.keys if pair[0] not in names)
        return Selection(self.transport, level, (*kept, *more))


def text(keyword: str, value: object) -> str:
    """Return a value as a search says it: dates by digits, UIDs apart by commas (PS3.18 8.3.4.1.1)."""
    if isinstance(value, date):
        return value.strftime("%Y%m%d")
    if isinstance(value, list | tuple | set | frozenset):
        return ("," if keyword.endswith("UID") else "\\").join(text(keyword, each) for each in value)
    return str(value)


def matches(selection: Selection) -> Iterator[Row]:
    """Return matches as their pages come.

    Raises:
        GridError: the gateway does not answer, or refuses.
    """
    columns = dict.fromkeys((*selection.level.columns, *selection.columns))
    parameters = [*selection.keys, ("includefield", ",".join(columns))]
    return search(selection.transport, selection.level.path, parameters, selection.level.key)


def wanted(selection: Selection) -> list[Wanted]:
    """Return the series of everything selected, with the instances of each where only some are.

    Raises:
        NotFoundError: nothing matches.
        GridError: the gateway does not answer, or refuses.
    """
    of_series = [selection]
    if selection.level is Level.STUDIES:
        studies = [dicom_json.uid_of(match, "StudyInstanceUID") for match in selection.rows]
        keys = [(("StudyInstanceUID", study),) for study in studies]
        of_series = [Selection(selection.transport, Level.SERIES, each) for each in keys]
    found: dict[tuple[str, str], set[str]] = {}
    for match in (match for each in of_series for match in each.rows):
        place = dicom_json.uid_of(match, "StudyInstanceUID"), dicom_json.uid_of(match, "SeriesInstanceUID")
        instances = found.setdefault(place, set())
        if selection.level is Level.INSTANCES:
            instances.add(dicom_json.uid_of(match, "SOPInstanceUID"))
    if not found:
        raise NotFoundError("nothing matches, or nothing that this login may see")
    return [Wanted(*place, frozenset(instances) or None) for place, instances in found.items()]
