"""The gateway and its peers at the same work in turn: `make bench`."""

import argparse
import json
import os
import signal
import sys
import time
import traceback
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

from tests.bench.bench import Bench, Sizes
from tests.bench.figures import judge
from tests.bench.machine import warm_memory
from tests.bench.peers import orthanc_version
from tests.bench.report import document, last_figures, remember, table, verdicts
from tests.bench.targets import TARGETS

PARTS = (
    "store",
    "storescu",
    "associate",
    "grown",
    "find",
    "retrieve",
    "publish",
    "web",
    "wan",
    "memory",
    "start",
)
_HISTORY = Path("var/bench-history.jsonl")
_WARM_GIGABYTES = 12.0
_BUSY = 0.5  # load average of the last minute, before anything is started
SIZES = asdict(Sizes())


def main(arguments: list[str]) -> int:
    """Measure, print the tables; 1 where a part failed. A target that is not met is shown, and no failure."""
    asked = _asked(arguments)
    bench = Bench(Sizes(**{name: getattr(asked, name) for name in SIZES}))
    began = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing that was started stays behind
    load = os.getloadavg()[0]
    bench.say("warming memory")
    warm_memory(asked.warm)
    failed = [part for part in asked.parts or PARTS if not _run(bench, part)]
    figures = bench.figures()
    measured = {each.part for each in figures} | set(asked.parts or PARTS)
    targets = [each for each in TARGETS if each.part in measured or not asked.parts]
    run = document(figures, targets, bench.absent, time.monotonic() - began)
    run["peers"] = {"Orthanc": orthanc_version()}
    sizes = asdict(bench.sizes)
    run["failed"], run["load_before"], run["sizes"] = failed, load, sizes
    before = last_figures(asked.history)
    say = sys.stdout.write
    say(f"{json.dumps(run['machine'])}\n{json.dumps(run['peers'])}\n\n{table(figures, before)}\n\n")
    say(verdicts(judge(targets, figures)) + "\n")
    for words in [*bench.absent, *(f"{part} FAILED, see above" for part in failed)]:
        say(f"{words}\n")
    if changed := {name: size for name, size in sizes.items() if size < SIZES[name] and name != "rounds"}:
        say(f"the targets are meant for more than {changed}\n")
    if load > _BUSY:
        say(f"the machine was busy when this began (load {load:.1f}): its figures mean little\n")
    say(f"{run['seconds']} s in all\n")
    if asked.json is not None:
        asked.json.write_text(json.dumps(run, indent=1) + "\n", "utf-8")
    remember(asked.history, run)
    return int(bool(failed))


def _run(bench: Bench, part: str) -> bool:
    began = time.monotonic()
    try:
        import_module(f"tests.bench.parts.{part}").run(bench)
    except Exception:  # noqa: BLE001 - one part that fails is shown, and does not take the others with it
        traceback.print_exc()
        return False
    bench.say(f"{part}: {time.monotonic() - began:.0f} s")
    return True


def _asked(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all by default")
    for name, default in SIZES.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default)
    parser.add_argument("--warm", type=float, default=_WARM_GIGABYTES, help="gigabytes to touch first")
    parser.add_argument("--json", type=Path, help="file for this run")
    parser.add_argument("--history", type=Path, default=_HISTORY, help="file of all runs")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
