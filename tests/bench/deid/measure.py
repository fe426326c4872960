"""Runs each program over the same files and says what came of it: one row of the table."""

import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from tests.bench.deid.pairs import Breaks, breaks, pairs
from tests.bench.deid.tools import Tool
from tests.planted import Corpus, Hunter


@dataclass(frozen=True)
class Row:
    """What one program made of the planted files, and how long it took over them and over a series.

    Seconds are of whole processes, start and all, medians of the runs.
    """

    tool: str
    version: str
    written: int
    refused: int
    leaks: int
    breaks: Breaks
    seconds: float
    series_seconds: float
    series_instances: int
    series_written: int

    @property
    def per_second(self) -> float | None:
        """Instances of the series a second; None where the program stopped before its end."""
        return self.series_instances / self.series_seconds if self._whole else None

    @property
    def _whole(self) -> bool:
        return self.series_written == self.series_instances

    def slower_than(self, other: "Row") -> float | None:
        """How many times as long it took over the series as another; None where one of them stopped."""
        return self.series_seconds / other.series_seconds if self._whole and other._whole else None

    def as_json(self) -> dict[str, object]:
        """Return the row for scripts."""
        return {**asdict(self), "per_second": self.per_second}


@dataclass(frozen=True)
class Given:
    """What every program is given: planted files, a series, and how often it runs over each."""

    corpus: Corpus
    planted: Path
    series: Path
    runs: int


def measure(tool: Tool, given: Given, work: Path) -> Row:
    """Run a program over the planted files and over a series; look at what it wrote."""
    corpus, series, runs = given.corpus, given.series, given.runs
    keys = work / "keys"
    keys.mkdir(parents=True, exist_ok=True)
    out = work / "out"
    readable = _readable(tool, given.planted, work)
    seconds = [_run(tool.command(readable, out, keys), out) for _ in range(runs)]
    found = pairs(readable, out)
    leaked = {leak.canary for leak in Hunter(corpus.canaries).leaks(out)}
    row = Row(
        tool=tool.name,
        version=tool.version,
        written=len(found),
        refused=len(corpus.files) - len(found),
        leaks=len(leaked),
        breaks=breaks(found),
        seconds=median(seconds),
        series_seconds=median(_run(tool.command(series, out, keys), out) for _ in range(runs)),
        series_instances=sum(1 for _ in series.iterdir()),
        series_written=sum(1 for one in out.rglob("*") if one.is_file()),
    )
    shutil.rmtree(work)
    return row


def _readable(tool: Tool, planted: Path, work: Path) -> Path:
    """Return a folder of the files that a program does not stop at: one bad file ends the run of some.

    Whatever it does not write when it is given all, it is given alone.
    """
    out, alone, readable = work / "out", work / "alone", work / "readable"
    readable.mkdir()
    _run(tool.command(planted, out, work / "keys"), out)
    written = {pair.given.name for pair in pairs(planted, out)}
    for path in sorted(planted.iterdir()):
        if path.name not in written and not tool.goes_on:
            alone.mkdir()
            shutil.copy(path, alone)
            _run(tool.command(alone, out, work / "keys"), out)
            shutil.rmtree(alone)
        if path.name in written or tool.goes_on or any(one.stat().st_size for one in out.iterdir()):
            shutil.copy(path, readable)
    return readable


def table(rows: Sequence[Row], planted: int) -> str:
    """Return the rows as lines for people; times as multiples of ours, which is the first row."""
    head = (
        "tool                    version  written refused"
        f" leaks/{planted:<5} UIDs kept/incons./inv./dangl. dates new errors seconds  inst./s  ours is"
    )
    return "\n".join((head, *(_line(one, rows[0]) for one in rows)))


def _line(row: Row, first: Row) -> str:
    broken = row.breaks
    uids = f"{broken.kept}/{broken.inconsistent}/{broken.invalid}/{broken.dangling}"
    errors = "-" if broken.errors is None else str(broken.errors)
    ratio, speed = row.slower_than(first), row.per_second
    times = "" if row is first or ratio is None else f"{ratio:.1f} times as fast"
    rate = "stopped" if speed is None else f"{speed:.0f}"
    line = (
        f"{row.tool:23} {row.version:8} {row.written:7} {row.refused:7} {row.leaks:11} {uids:>30}"
        f" {broken.dates:5} {errors:>10} {row.seconds:7.2f} {rate:>8}  {times}"
    )
    return line.rstrip()


def _run(command: Sequence[str | Path], out: Path) -> float:
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    begin = time.perf_counter()
    # What it refuses it says in words and in its exit status; what counts here is what it wrote.
    subprocess.run(list(map(str, command)), check=False, capture_output=True, timeout=1800)
    return time.perf_counter() - begin
