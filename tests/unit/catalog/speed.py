"""How fast the catalog answers: `python -m tests.unit.catalog.speed [STUDIES] [URL] [GRANTS]`.

Loads invented studies (one patient, series and image each) through ingest and publish, then times queries of
14 keys with the full decision, as a cleared and an uncleared caller.
"""

import random
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

from catalog.callers import Right
from catalog.extract import Attributes
from catalog.find import find
from catalog.grants import Grant, What, Who, write
from catalog.ingest import ingest
from catalog.publish import Part, PublishedInstance, publish
from catalog.query import Key, Level, Query, Root
from catalog.tables import NAME_GROUPS
from catalog.text import groups
from tests.unit.catalog.world import EXPLICIT, NOW, Image, World, alpha, open_engine, researcher

KEYS = (
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ModalitiesInStudy",
    "ReferringPhysicianName",
    "StudyDescription",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "StudyID",
    "NumberOfStudyRelatedSeries",
    "NumberOfStudyRelatedInstances",
)
BATCH = 256
DAYS = 25 * 12 * 28  # distinct study dates


def _say(line):
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def studies(count):
    """Yield (received, de-identified attributes) of each study; a hundredth of the patients are Smiths."""
    rng = random.Random(1)
    sample = Image("1.1")
    received, hidden = sample.received(), sample.deidentified()
    for n in range(count):
        family = (
            "SMITH" if n % 100 == 0 else f"{rng.choice('ABCDEFGHIJKLMNOPQRTUVWXYZ')}{rng.randrange(10**6):06}"
        )
        name = f"{family}^{rng.randrange(10**4)}"
        day = f"{2000 + n % 25}{1 + n // 25 % 12:02}{1 + n // 300 % 28:02}"
        yield (
            replace(
                received,
                attributes=_variant(received.attributes, n, name, day, "1.2.3"),
                patient_key=f"pk{n}",
                study_key=f"2.25.{n}.1",
                series_key=f"2.25.{n}.2",
                instance_key=f"2.25.{n}.3",
                sha256=n.to_bytes(32, "big"),
            ),
            _variant(hidden, n, f"PK{n}", f"19{day[2:]}", "2.25"),
        )


def _variant(base, n, name, day, root):
    patient = f"P{n}" if root == "1.2.3" else name
    accession = {"accession_number": f"A{n}" if root == "1.2.3" else ""}
    folded = dict(zip((f"patient_name_{group}" for group in NAME_GROUPS), groups(name), strict=True))
    return Attributes(
        base.patient | {"patient_id": patient, "patient_name": name} | folded,
        base.study | {"study_instance_uid": f"{root}.{n}.1", "study_date": day} | accession,
        base.series | {"series_instance_uid": f"{root}.{n}.2"},
        base.image | {"sop_instance_uid": f"{root}.{n}.3"},
    )


def load(engine, count):
    """Store and publish `count` studies; prints the rates."""
    source = studies(count)
    stored = published = 0.0
    while batch := list(islice(source, BATCH)):
        began = time.perf_counter()
        with engine.begin() as connection:
            outcomes = ingest(connection, [received for received, _hidden in batch])
        between = time.perf_counter()
        with engine.begin() as connection:
            parts = [
                PublishedInstance(outcome.phi_instance_id, place, hidden, EXPLICIT, 900)
                for place, (outcome, (_received, hidden)) in enumerate(zip(outcomes, batch, strict=True))
            ]
            publish(connection, Part(f"record-{outcomes[0].phi_instance_id}", parts, [], NOW))
        stored += between - began
        published += time.perf_counter() - between
    _say(f"ingest {stored / count * 1e6:.0f} us, publish {published / count * 1e6:.0f} us an instance")


def grant_many(engine, count):
    """Give the cleared caller patients of its own, one grant each."""
    with engine.begin() as connection:
        for n in range(count):
            what = What(patient_key=f"pk{n * 7}")
            may = frozenset({Right.FIND, Right.PHI})
            write(connection, Grant(who=Who(user=alpha.assertions.user), what=what, may=may))


def timed(engine, caller, runs=30, **given):
    """Median milliseconds to the last match, to the first, and how many there are."""
    keys = tuple(Key(keyword, (given[keyword],) if keyword in given else ()) for keyword in KEYS)
    query = Query(Root.STUDY, Level.STUDY, keys)
    totals, firsts, matches = [], [], 0
    for _run in range(runs):
        began = time.perf_counter()
        with engine.connect() as connection:
            found = find(connection, query, caller, NOW)
            head = next(found, None)
            firsts.append(time.perf_counter() - began)
            matches = (head is not None) + sum(1 for _match in found)
        totals.append(time.perf_counter() - began)
    return statistics.median(totals) * 1e3, statistics.median(firsts) * 1e3, matches


def main():
    """Load and print a table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    grants = int(sys.argv[3]) if len(sys.argv) > 3 else 0
    with tempfile.TemporaryDirectory() as folder:
        url = sys.argv[2] if len(sys.argv) > 2 else f"sqlite:///{Path(folder) / 'catalog.db'}"
        engine = open_engine(url)
        World(engine)
        load(engine, count)
        grant_many(engine, grants)
        days = max(100 * DAYS // count, 1)
        asked = {
            "exact PatientID": {"PatientID": f"P{count // 2}"},
            "exact AccessionNumber": {"AccessionNumber": f"A{count // 3}"},
            "exact StudyInstanceUID": {"StudyInstanceUID": f"1.2.3.{count // 2}.1"},
            "date range": {"StudyDate": f"201001{1:02}-2010{1 + days // 28:02}{days % 28 + 1:02}"},
            "name prefix": {"PatientName": "SMI*"},
            "no match": {"PatientID": "NOSUCH"},
        }
        _say(f"{count} studies, {grants} grants, {engine.dialect.name}")
        for label, given in asked.items():
            for caller in (alpha, researcher):
                total, first, matches = timed(engine, caller, **given)
                shown = f"{total:8.2f} ms{first:8.2f} ms to the first{matches:7} matches"
                _say(f"{label:24}{caller.name:12}{shown}")
        engine.dispose()


if __name__ == "__main__":
    main()
