"""A process that stores, indexes, publishes and evicts until it is done or a failpoint kills it.

    sender.py HOME FAILPOINTS

Standard output is its journal: a line "<uid> <sha256>" for every instance it would have answered with
success, written after the log said so.
"""

import hashlib
import os
import sys
from pathlib import Path

from dgis import failpoints, logs
from dgis.cache.log import Limits
from dgis.cache.values import Stored
from tests.unit.dgis.cache.harness import House, body_of, put

LIMITS = Limits(max_bytes=1 << 30, free_floor_bytes=0, segment_bytes=2 << 20, max_spares=1)
SIZES = (400, 90_000, 1_400_000, 30_000)


def journal(uid, body):
    os.write(1, f"{uid} {hashlib.sha256(body).hexdigest()}\n".encode())


def main(home, points):
    logs.configure("info", "console", "test")  # to standard error: standard output is the journal
    house = House(Path(home), LIMITS)
    failpoints.arm(points)
    house.drain()
    number = 0
    for series in range(1, 5):
        writer = house.log.association()
        for _ in range(6):
            number += 1
            uid = f"1.{number // 5}" if number % 5 == 0 else f"2.{number}"
            body = body_of(number % 7, SIZES[number % len(SIZES)])
            if isinstance(put(writer, house.meta(uid, str(series)), body), Stored):
                journal(uid, body)
        if series % 2:
            put(writer, house.meta(f"2.{number}", str(series)), body)  # a resend
        writer.finish(released=True)
        house.drain()
        if series > 1:
            house.publish(series - 1)
            house.evictor.evict()
    house.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
