"""`make faults`: kill -9 at every named point of receive and publish, and count what broke."""

import argparse
import sys
from itertools import cycle, islice

from tests.gateway import Gateway
from tests.tools.crash import QUICK, Verdict, trial

# Each failpoint with the passages at which the process dies in one start after another. Every start receives
# 21 images of six series over seven associations, so these are passed with certainty.
POINTS = {
    "cache.segment_made": (1, 3, 5),
    "cache.segment_named": (1, 3, 5),
    "cache.entry_begun": (1, 6, 11, 16, 20),
    "cache.half_body": (1, 3, 6),
    "cache.before_fsync": (1, 6, 11, 16),
    "cache.after_fsync": (1, 6, 11, 16),
    "cache.before_index_commit": (1,),
    "cache.after_index_commit": (1,),
    "publish.claimed": (1, 2, 3),
    "publish.keyed": (1, 2, 3),
    "publish.packed": (1, 2, 3),
    "publish.record_put": (1, 2, 3),
    "publish.sealed_put": (1, 2, 3),
    "publish.placed": (1, 2, 3),
    "publish.before_commit": (1, 2, 3),
    "publish.after_commit": (1, 2, 3),
}


def run(point: str, times: int) -> Verdict:
    """Kill `times` times at one point, over a home of its own."""
    counts = list(islice(cycle(POINTS[point]), times))
    gateway = Gateway(QUICK)
    try:
        return trial(gateway, point, counts, seed=1)
    finally:
        gateway.discard()


HEADING = f"{'point':28} {'killed':>7} {'acked':>6} {'lost':>5} {'doubled':>8} {'damaged':>8} {'seconds':>8}"


def line(verdict: Verdict) -> str:
    """One row of the table."""
    killed = f"{sum(verdict.struck)}/{len(verdict.struck)}"
    broken = (verdict.lost, verdict.doubled, verdict.damaged)
    counts = "".join(f"{len(one):{width}}" for one, width in zip(broken, (6, 9, 9), strict=True))
    return f"{verdict.point:28} {killed:>7} {verdict.acknowledged:6}{counts} {verdict.seconds:8.1f}"


def main() -> int:
    """Run the matrix; returns 1 when any promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=25, help="kills at each point")
    parser.add_argument("--point", action="append", choices=POINTS, help="only this point (may be repeated)")
    asked = parser.parse_args()
    say = sys.stdout.write
    say(f"{HEADING}\n")
    broken = 0
    for point in asked.point or POINTS:
        verdict = run(point, asked.times)
        say(f"{line(verdict)}\n")
        sys.stdout.flush()
        broken += not verdict.kept
    say(f"{broken} points with a broken promise\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
