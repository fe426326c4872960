"""The figures of this process: what it counts anyway, and what only its role can tell."""

from collections.abc import Iterable
from pathlib import Path

from prometheus_client.registry import Collector

from dgis.watch.figures import REGISTRY
from dgis.watch.files import FigureFile, folder_of


def own_figures(home: Path, role: str, collectors: Iterable[Collector]) -> FigureFile:
    """Return the file into which this process writes its figures; `collectors` are asked at each writing."""
    for collector in collectors:
        REGISTRY.register(collector)
    file = FigureFile(folder_of(home), role, REGISTRY)
    file.prepare()
    file.write()
    return file
