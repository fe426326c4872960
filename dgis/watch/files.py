"""How the figures of several processes come together: each writes its own into a small file under the home.

`run/figures/ROLE-TOKEN.prom` is in the text form of Prometheus, replaced as a whole every two seconds; the
web door reads what is fresh. A process that died leaves a file that is passed over, and removed by a later
one of its role. Nothing here is worth a sync: after a crash the counts begin anew, as counters may.
"""

import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

FRESH_SECONDS = 15.0
WRITE_SECONDS = 2.0
_LEFT_SECONDS = 3600.0
_SUMMED = frozenset({"counter", "histogram"})
_SUMMED_GAUGES = frozenset({"dgis_associations"})  # of others the largest counts: two doors see one disk


Labels = tuple[tuple[str, str], ...]


def folder_of(home: Path) -> Path:
    """Where the files lie."""
    return home / "run" / "figures"


class FigureFile:
    """The file of one process."""

    def __init__(self, folder: Path, role: str, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._path = folder / f"{role}-{secrets.token_hex(4)}.prom"
        self._role = role

    def prepare(self) -> None:
        """Make the folder, and remove what dead processes of this role left long ago."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in self._path.parent.glob(f"*{self._role}-*"):
            if _age_seconds(path, time.time()) > _LEFT_SECONDS:
                path.unlink(missing_ok=True)

    def write(self) -> None:
        """Write the figures down; on a full disk the file grows old, and that is what is seen."""
        temporary = self._path.with_name(f".{self._path.name}")
        with suppress(OSError):
            temporary.write_bytes(generate_latest(self._registry))
            temporary.rename(self._path)

    def remove(self) -> None:
        """Take the figures back: the process ends."""
        self._path.unlink(missing_ok=True)


def fresh(folder: Path, clock: Callable[[], float] = time.time) -> Iterator[tuple[str, str]]:
    """Yield role and text of every process that has written lately."""
    now = clock()
    for path in sorted(folder.glob("*-*.prom")):
        if not path.name.startswith(".") and _age_seconds(path, now) <= FRESH_SECONDS:
            with suppress(OSError):
                yield path.name.partition("-")[0], path.read_text("utf-8")


def merged(texts: Iterable[tuple[str, str]]) -> list[Metric]:
    """Return the figures of all processes as one: a label says the role, processes of one are together."""
    families: dict[str, Metric] = {}
    values: dict[str, dict[tuple[str, Labels], float]] = {}
    for role, text in texts:
        for family in text_string_to_metric_families(text):
            known = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            found = values.setdefault(family.name, {})
            for sample in family.samples:
                key = (sample.name, tuple(sorted({**sample.labels, "role": role}.items())))
                found[key] = _together(known, found.get(key), sample.value)
    for name, family in families.items():
        family.samples = [Sample(each, dict(labels), value) for (each, labels), value in values[name].items()]
    return [families[name] for name in sorted(families)]


def _together(family: Metric, before: float | None, value: float) -> float:
    if before is None:
        return value
    summed = family.type in _SUMMED or family.name in _SUMMED_GAUGES
    return before + value if summed else max(before, value)


def _age_seconds(path: Path, now: float) -> float:
    try:
        return now - path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")
