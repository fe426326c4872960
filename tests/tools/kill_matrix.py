"""`make faults`: kill -9 at every named point of receive and publish, and count what broke."""

import argparse
import sys

from tests.gateway import Gateway
from tests.tools.crash import QUICK, Outcome, crash

# Each failpoint with how often it is certainly passed while the images of six series come over five
# associations: rounds after one another kill at the first, the second, ... passage.
POINTS = {
    "cache.segment_made": 1,
    "cache.segment_named": 1,
    "cache.entry_begun": 5,
    "cache.half_body": 5,
    "cache.before_fsync": 3,
    "cache.after_fsync": 3,
    "cache.before_index_commit": 1,
    "cache.after_index_commit": 1,
    "publish.claimed": 3,
    "publish.keyed": 3,
    "publish.packed": 3,
    "publish.record_put": 3,
    "publish.sealed_put": 3,
    "publish.placed": 3,
    "publish.before_commit": 3,
    "publish.after_commit": 3,
}


def rounds(points: dict[str, int], times: int):
    """Yield the outcome of each crash, `times` for each point, each point over a home of its own."""
    for number, (point, passages) in enumerate(points.items()):
        gateway = Gateway(QUICK)
        try:
            for turn in range(times):
                yield crash(gateway, point, 1 + turn % passages, seed=1 + turn + 1000 * number)
        finally:
            gateway.__exit__()


def line(outcome: Outcome) -> str:
    """One row of the table."""
    return (
        f"{outcome.point:28} {outcome.count:3} {'killed' if outcome.reached else 'NOT REACHED':12}"
        f" {outcome.acknowledged:5} {len(outcome.lost):5} {len(outcome.doubled):8} {len(outcome.damaged):8}"
        f" {outcome.seconds:7.1f}"
    )


HEADING = (
    f"{'point':28} {'at':>3} {'':12} {'acked':>5} {'lost':>5} {'doubled':>8} {'damaged':>8} {'seconds':>7}"
)


def main() -> int:
    """Run the matrix; returns 1 when any promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=25, help="kills at each point")
    parser.add_argument("--point", action="append", choices=POINTS, help="only this point (may be repeated)")
    asked = parser.parse_args()
    points = {name: POINTS[name] for name in asked.point or POINTS}
    say = sys.stdout.write
    say(f"{HEADING}\n")
    broken = 0
    for outcome in rounds(points, asked.rounds):
        say(f"{line(outcome)}\n")
        sys.stdout.flush()
        broken += not outcome.kept
    say(f"{broken} broken promises in {asked.rounds * len(points)} kills\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
