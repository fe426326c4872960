"""De-identifiers side by side over the same planted files: `make bench-deid`."""

import argparse
import json
import os
import platform
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from dgis.demo.files import write_files
from tests.bench.deid.measure import Given, Row, measure, table
from tests.bench.deid.tools import Absent, ours, peers
from tests.corpus import corpus_root
from tests.planted import write_corpus
from tests.tools import deid_rates

_IMAGES = 60  # of each of three synthetic series, where there are no real ones
_SMALL = ("mr_brain_bold_philips", "mr_fmri_ge", "pet_wholebody_ge")  # images of some 20 kB
_MEMORY = Path("/dev/shm")


def main(arguments: list[str]) -> None:
    """Measure, print the table, and write it for scripts."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.deid")
    parser.add_argument("--seed", type=int, default=1, help="of the planted corpus")
    parser.add_argument("--runs", type=int, default=3, help="of each program; medians are told")
    parser.add_argument("--images", type=int, help="of three synthetic series each, not real ones")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--ours", action="store_true", help="without the other programs and the header rates")
    asked = parser.parse_args(arguments)
    wanted = [ours(), *([] if asked.ours else peers())]
    with TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        work = Path(folder)
        corpus = write_corpus(work / "planted", asked.seed)
        series = _series(work, asked.images)
        given = Given(corpus, work / "planted", series, asked.runs)
        rows = [measure(tool, given, work / tool.name) for tool in wanted if not isinstance(tool, Absent)]
    say = sys.stdout.write
    where = f"{os.cpu_count()} cores, Python {platform.python_version()}, {datetime.now(UTC):%Y-%m-%d}"
    say(f"{len(corpus.files)} planted files, seed {asked.seed}; {rows[0].series_instances} images; {where}\n")
    say(table(rows, len(corpus.canaries)) + "\n")
    for tool in wanted:
        if isinstance(tool, Absent):
            say(f"{tool.name} is not here: {tool.remedy}\n")
    if asked.json is not None:
        asked.json.write_text(json.dumps(_document(rows, len(corpus.canaries)), indent=2) + "\n", "utf-8")
    sys.stdout.flush()
    if not asked.ours:
        _say_rates()


def _series(work: Path, images: int | None) -> Path:
    """Put series into one folder, as some of the programs want it: real ones, else synthetic ones."""
    root = corpus_root()
    flat = work / "flat"
    flat.mkdir()
    if root is not None and images is None:
        folders = [root / "series" / name for name in _SMALL]
    else:
        write_files(work / "series", images or _IMAGES)
        folders = sorted((work / "series").iterdir())
    for path in (path for folder in folders for path in folder.iterdir()):
        shutil.copy(path, flat / f"{path.parent.name}-{path.name}")
    return flat


def _say_rates() -> None:
    """Say how fast headers of real series are on one core, where there are real series."""
    root = corpus_root()
    if root is not None:
        sys.stdout.write("\nheaders of real series, one core:\n")
        sys.stdout.write(deid_rates.table(list(deid_rates.rates(root / "series", rounds=3))) + "\n")


def _document(rows: list[Row], canaries: int) -> dict[str, object]:
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "canaries": canaries,
        "tools": [row.as_json() for row in rows],
    }


if __name__ == "__main__":
    main(sys.argv[1:])
