"""How fast durable instances go in: one file each, or the receive log; the figures of decision 0002.

    python -m tests.unit.dgis.cache.rates FOLDER [ROUNDS]

FOLDER lies on the disk to be measured. Every variant is measured in turn, in ROUNDS rounds; printed are the
median, the least and the most instances per second, and the processor time of one instance in this process.
"""

import os
import shutil
import statistics
import sys
import threading
import time
from pathlib import Path

from dgis.cache.log import Limits, ReceiveLog
from tests.unit.dgis.cache.harness import House, meta

SIZES = {"CT": 526 << 10, "MR": 133 << 10, "PT": 34 << 10}
COUNTS = {"CT": 320, "MR": 800, "PT": 1600}
PIECE = 128 << 10  # what a door hands over at once: one PDU
SEGMENT_BYTES = 256 << 20
LIMITS = Limits(max_bytes=1 << 40, free_floor_bytes=0, segment_bytes=SEGMENT_BYTES, max_spares=8)


def files(folder, body, writers, count):
    """Part-10 style: write, fsync, rename, fsync of the folder."""

    def write(number):
        mine = folder / str(number)
        mine.mkdir()
        directory = os.open(mine, os.O_RDONLY)
        for index in range(count):
            descriptor = os.open(mine / "making", os.O_CREAT | os.O_WRONLY)
            for start in range(0, len(body), PIECE):
                os.write(descriptor, body[start : start + PIECE])
            os.fsync(descriptor)
            os.close(descriptor)
            (mine / "making").rename(mine / f"{index}.dcm")
            os.fsync(directory)
        os.close(directory)

    return timed(write, writers)


def log(folder, body, writers, count, *, recycled=False, indexed=False):
    """The receive log through its own door; `indexed` with catalog and queue rows written meanwhile."""
    if recycled:
        spare = folder / "cache" / "spare"
        spare.mkdir(parents=True)
        for number in range(writers):
            with (spare / f"{number:012x}-00000000.spare").open("wb") as file:
                for _ in range(SEGMENT_BYTES >> 20):
                    file.write(os.urandom(1 << 20))
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    house = House(folder, LIMITS) if indexed else None
    receive = house.log if house else ReceiveLog.open(folder, LIMITS)
    if house:
        house.indexer.start()

    def write(number):
        writer = receive.association()
        for index in range(count):
            entry = writer.begin(meta(f"1.{number}.{index}", str(number + 1), index))
            for start in range(0, len(body), PIECE):
                entry.write(body[start : start + PIECE])
            entry.commit()
        writer.finish(released=True)

    try:
        return timed(write, writers)
    finally:
        if house:
            house.indexer.stop()
            house.close()
        else:
            receive.close()
            receive.backlog.close()


def timed(write, writers):
    threads = [threading.Thread(target=write, args=(number,)) for number in range(writers)]
    processor, begin = time.process_time(), time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - begin, time.process_time() - processor


VARIANTS = {
    "files": files,
    "log": log,
    "log, recycled": lambda *given: log(*given, recycled=True),
    "log, indexed": lambda *given: log(*given, indexed=True),
}


def main(folder, rounds):
    results = {}
    for _ in range(rounds):
        for kind, size in SIZES.items():
            body = os.urandom(size)
            for writers in (1, 4):
                for name, variant in VARIANTS.items():
                    place = folder / "rates"
                    place.mkdir(parents=True)
                    took, processor = variant(place, body, writers, COUNTS[kind] // writers)
                    shutil.rmtree(place)
                    found = results.setdefault((kind, writers, name), [])
                    found.append((COUNTS[kind] / took, processor / COUNTS[kind] * 1000))
    for (kind, writers, name), found in results.items():
        rates = [rate for rate, _ in found]
        processor = statistics.median(each for _, each in found)
        sys.stdout.write(
            f"{kind} x{writers} {name:14} {statistics.median(rates):6.0f}/s"
            f" [{min(rates):.0f}-{max(rates):.0f}] {processor:.2f} ms\n"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 3)
