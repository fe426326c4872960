"""Series as volumes in a folder: fetched aside, converted, and only then said to be there."""

import json
import shutil
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from dgis.client.checksums import Checksums, digest_of
from dgis.client.downloading import Manner, Wanted, download, instances_of
from dgis.client.errors import GridError
from dgis.client.telling import telling
from dgis.client.transport import Transport
from dgis.client.volume.reading import read_volumes
from dgis.client.volume.values import NoImageError, VolumeError
from dgis.client.volume.writing import Form, write

_ASIDE = ".dicom"
_SAID = "series.json"


@dataclass(slots=True)
class Converted:
    """What was made: series converted now and before, what is odd or no image, and what failed, in words."""

    folder: Path
    made: int = 0
    there: int = 0
    volumes: int = 0
    told: dict[str, list[str]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def fetch_volumes(
    transport: Transport, wanted: Sequence[Wanted], folder: Path, form: Form, manner: Manner | None = None
) -> Converted:
    """Fetch series and write their volumes to `folder/study/series/volume-N`, the geometry beside each.

    The commit point of a series is its line for `series.json` in SHA256SUMS: before it, the series is made
    anew by the next run, its DICOM files taken from where they were fetched to.

    Raises:
        OSError: a file cannot be written.
    """
    manner = manner or Manner()
    folder.mkdir(parents=True, exist_ok=True)
    done = Converted(folder)
    sums = Checksums(folder)
    lock = threading.Lock()

    def one(each: Wanted) -> tuple[int, bool, list[str]]:
        instances = each.instances or instances_of(transport, each)
        target = each.folder(folder)
        source = sha256("\n".join([form.value, *sorted(instances)]).encode()).hexdigest()
        if (there := _is_there(target, source, sums)) is not None:
            return len(there), False, []
        aside = target / _ASIDE
        download(transport, [each], aside)
        said = convert(sorted(aside.rglob("*.dcm")), target, form)
        for path in _files(target, aside):
            sums.add(path, digest_of(path))
        last = target / _SAID
        last.write_text(json.dumps({"source": source, **said}, indent=1) + "\n")
        sums.add(last, digest_of(last))
        shutil.rmtree(aside)
        return len(said["volumes"]), True, said["told"]

    with (
        telling("fetching", len(wanted), shown=manner.progress) as bar,
        ThreadPoolExecutor(max(1, manner.workers)) as pool,
    ):
        futures = {pool.submit(one, each): each for each in wanted}
        for future in as_completed(futures):
            series = futures[future].series
            with lock:
                try:
                    count, is_new, told = future.result()
                except (GridError, VolumeError) as error:
                    done.failed[series] = str(error)
                else:
                    done.volumes += count
                    done.made += is_new
                    done.there += not is_new
                    if told:
                        done.told[series] = told
            bar.advance()
    sums.tidy()
    return done


def convert(files: Sequence[Path], folder: Path, form: Form) -> dict[str, Any]:
    """Write the volumes of one series; returns names of files and what is odd, in words.

    Raises:
        VolumeError: the pixels cannot be decoded.
        OSError: a file cannot be written.
    """
    try:
        found = read_volumes(files)
    except NoImageError as error:
        return {"volumes": [], "told": [str(error)]}
    made: list[Mapping[str, Any]] = []
    told = list(found.left_out)
    for number, volume in enumerate(found.volumes, 1):
        name = f"volume-{number}"
        if form is Form.NIFTI and volume.affine is None:
            told.append(f"{name}: without a place in the patient, so no NIFTI; --as numpy has it")
            continue
        path, _beside = write(volume, folder, name, form)
        problems = [f"{name}: {words}" for words in volume.problems]
        told += problems
        made.append({"file": path.name, "shape": list(volume.array.shape), "problems": problems})
    return {"volumes": made, "told": told}


def _is_there(target: Path, source: str, sums: Checksums) -> list[Any] | None:
    """Return the volumes of a series that is whole, and made of the same instances in the same form."""
    said = target / _SAID
    if not sums.holds(said):
        return None
    try:
        known = json.loads(said.read_text())
    except ValueError:
        return None
    if known.get("source") != source:
        return None
    whole = all(sums.holds(path) for path in _files(target, target / _ASIDE))
    named = [target / each["file"] for each in known["volumes"]]
    return known["volumes"] if whole and all(path.exists() for path in named) else None


def _files(target: Path, aside: Path) -> list[Path]:
    return [
        path
        for path in sorted(target.rglob("*"))
        if path.is_file() and aside not in path.parents and path.name != _SAID
    ]
