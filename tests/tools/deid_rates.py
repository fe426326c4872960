"""How many instances a second one core de-identifies: `python -m tests.tools.deid_rates [FOLDER]`.

Of every series of a folder (one folder a series), its instances in the order in which they are published.
Process time counts, so that neighbours disturb little; reading the files does not count, parsing does.
"""

import gc
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from deid.elements import Element, Encoding, WalkError, detect_encoding, elements, encoding_of, items
from deid.engine import Deidentifier
from deid.profile import Profile
from deid.pseudonyms import SiteSecrets
from tests.corpus import require_corpus
from tests.tools import files
from tests.tools.files import File

OPTIONS = {
    "default": ("modified-dates",),
    "science": ("modified-dates", "safe-private", "patient-characteristics", "device-identity"),
    "descriptors": ("modified-dates", "clean-descriptors"),
}
_PIXEL_GROUP = 0x7FE0


@dataclass(frozen=True, slots=True)
class Rate:
    """Medians of several rounds over one series; `elements` of its headers, nested ones counted.

    `headers_per_second` is measured without pixel data: what is looked for in the pixels costs the rest.
    `first_ms` is what an engine takes that has seen nothing yet.
    """

    series: str
    options: str
    instances: int
    elements: int
    per_second: float
    headers_per_second: float
    first_ms: float


def rates(folder: Path, rounds: int = 9) -> Iterator[Rate]:
    """Yield the rates of each series under a folder, for each set of options."""
    for series in sorted(path for path in folder.iterdir() if path.is_dir()):
        instances = _in_order(series)
        if not instances:
            continue
        headers = [_without_pixels(one) for one in instances]
        size = int(median(_count(one) for one in headers))
        for name, options in OPTIONS.items():
            profile = Profile.named("basic", options)
            timed = [_seconds(profile, instances) for _ in range(rounds)]
            alone = [_seconds(profile, headers) for _ in range(rounds)]
            yield Rate(
                series=series.name,
                options=name,
                instances=len(instances),
                elements=size,
                per_second=len(instances) / median(whole for whole, _first in timed),
                headers_per_second=len(instances) / median(whole for whole, _first in alone),
                first_ms=median(first for _whole, first in timed) * 1000,
            )


def table(found: Sequence[Rate]) -> str:
    """Return the rates as lines for people."""
    head = f"{'series':26} {'options':12} inst.  elem.  inst./s no pixels first ms"
    lines = (
        f"{one.series:26} {one.options:12} {one.instances:5} {one.elements:6}"
        f" {one.per_second:8.0f} {one.headers_per_second:9.0f} {one.first_ms:8.2f}"
        for one in found
    )
    return "\n".join((head, *lines))


def _seconds(profile: Profile, instances: Sequence[File]) -> tuple[float, float]:
    """Return the process time of a whole series with a new engine, and of its first instance."""
    engine = Deidentifier(profile, SiteSecrets(bytes(32)), "measured")
    first = 0.0
    gc.collect()
    begin = time.process_time()
    for number, one in enumerate(instances):
        engine.deidentify(one.dataset, one.transfer_syntax, one.sop_instance_uid)
        if number == 0:
            first = time.process_time() - begin
    return time.process_time() - begin, first


def _in_order(series: Path) -> list[File]:
    """Read the instances of a series by instance number, as dgis.publisher.planning takes them."""
    read = [file for path in sorted(series.iterdir()) if path.is_file() and (file := files.read(path))]
    return sorted(read, key=lambda one: (_number(one), one.sop_instance_uid))


def _number(file: File) -> int:
    return int(files.parse(file.dataset, file.transfer_syntax).get("InstanceNumber") or 0)


def _encoding(file: File) -> Encoding:
    return detect_encoding(file.dataset, encoding_of(file.transfer_syntax))


def _without_pixels(file: File) -> File:
    found = elements(file.dataset, _encoding(file))
    end = next((one.start for one in found if one.tag >> 16 == _PIXEL_GROUP), len(file.dataset))
    return File(
        file.path, file.sop_class_uid, file.sop_instance_uid, file.transfer_syntax, file.dataset[:end]
    )


def _count(file: File) -> int:
    return _counted(file.dataset, list(elements(file.dataset, _encoding(file))), _encoding(file))


def _counted(data: bytes, found: Sequence[Element], encoding: Encoding) -> int:
    count = len(found)
    for element in found:
        if element.vr == "SQ" or element.length < 0:
            try:
                for one in items(data, element, encoding):
                    inside = list(elements(data, one.encoding, one.start, one.stop))
                    count += _counted(data, inside, one.encoding)
            except WalkError:
                continue
    return count


if __name__ == "__main__":
    where = Path(sys.argv[1]) if len(sys.argv) > 1 else require_corpus() / "series"
    print(table(list(rates(where))))  # noqa: T201 - its output
