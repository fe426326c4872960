"""What the decision costs: `python -m tests.tools.decision_cost [STUDIES] [GRANTS]`, on both databases.

Each question is asked with the full decision and by a statement that is built without its predicate, in
turns, over the same rows of the same database; both give the same answer. The product cannot leave the
decision out: what does is an `Access` of this file. Exit code 1 where the median of a question passes the
bound.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from unittest import mock

import pytest
import sqlalchemy as sa

from catalog import release
from catalog.callers import Assertions, Caller, Right
from catalog.clearance import Access, Viewer
from catalog.find import Match, _Search, find
from catalog.grants import Grant, What, Who, write
from catalog.matching import parse
from catalog.query import Key, Level, Query, Root
from catalog.release import Asker, Releases
from catalog.retrieve import _parse, _resolve, instances
from dgis import database
from dgis.cache.reach import reach_of
from dgis.configuration import Configuration
from dgis.dimse.limits import Limits
from tests.postgres import running_postgres
from tests.tools import wire
from tests.tools.client import C_FIND, FIND, PENDING, ROOT, Client, encode
from tests.tools.client import query as asked
from tests.unit.catalog.speed import KEYS, load
from tests.unit.catalog.world import FULL, NOW, Image, World, alpha, pseudonym, researcher
from tests.unit.dgis.dimse.fakes import Archive, serving

STUDIES, GRANTS, IMAGES = 100_000, 1_000, 200
MOST = 1.10
REACH = reach_of("bench")  # as a door has it
Clock = Callable[[], float]
ROUNDS = 60
BATCH_SECONDS = 0.02  # of one measurement: quick questions are asked several times in it
_PATIENT = Limits(idle_seconds=7200)
physician = Caller("physician", Assertions(user="dr.m", institution="Elsewhere"), FULL)


class Open(Access):
    """An access that lets everything be seen: the statement without the predicate."""

    def visible(self, family, level, row):
        """Whether a row is there: always."""
        del family, level, row
        return sa.true()

    def divided(self, level, row):
        """Whether stored counts may not hold: never."""
        del level, row
        return sa.false()


def undecided(right: Right, *, originals: bool) -> Viewer:
    """The viewer who is not asked who he is."""
    return Viewer(Open(right, (), originals_first=False, anything=True, originals=originals), {})


@dataclass(frozen=True)
class Question:
    """One thing to ask, with the decision and without it; each returns how many rows came.

    `bounded` says whether the bound is for it: for a C-FIND it is, and for the catalog's part in a retrieve;
    the catalog's part in a C-FIND is shown beside them.
    """

    words: str
    decided: Callable[[], int]
    plain: Callable[[], int]
    bounded: bool = True


class Undecided(Releases):
    """The product's releases, transaction and record included, over the statement without the predicate."""

    def __init__(self, engine: sa.Engine, writer: str, seen: Viewer) -> None:
        super().__init__(engine, writer, lambda: NOW)
        self._seen = seen

    def find(self, query: Query, asker: Asker) -> Iterator[Match]:
        """Find without asking who may."""
        with mock.patch.object(release, "find", self._plain):
            return super().find(query, asker)  # the first page is looked up at once, and holds all there is

    def _plain(
        self, connection: sa.Connection, query: Query, _caller: Caller, _now_ms: int, _reach: object = None
    ) -> Iterator[Match]:
        return islice(_Search(connection, parse(query), self._seen).matches(None), query.limit)


class Answering(Archive):
    """A door that answers one caller's queries from a catalog."""

    def __init__(self, releases: Releases, caller: Caller) -> None:
        super().__init__()
        self._releases, self._asker = releases, Asker(caller, "127.0.0.1")

    def find(self, _session: object, query: Query) -> Iterator[Match]:
        """Answer a query."""
        return self._releases.find(query, self._asker)

    def note(self, event: object) -> None:
        """Keep nothing."""


class Bench:
    """Asks over one connection to the database, and over one association to a door for each of two ways."""

    def __init__(self, engine: sa.Engine, stack: ExitStack) -> None:
        self._engine = engine
        self._stack = stack
        self._connection = stack.enter_context(engine.execution_options(deferred=True).connect())

    def finding(self, caller: Caller, words: str, *, originals: bool, **given: str) -> list[Question]:
        """A C-FIND of 14 keys at study level; `originals`: whether the caller may be cleared for any."""
        keys = tuple(Key(keyword, (given[keyword],) if keyword in given else ()) for keyword in KEYS)
        query = Query(Root.STUDY, Level.STUDY, keys)
        seen = undecided(Right.FIND, originals=originals)
        words = f"{words}, {caller.name}"
        identifier = encode(asked("STUDY", **{key: given.get(key, "") for key in KEYS}))
        decided = self._association(Releases(self._engine, "decided", lambda: NOW, REACH), caller)
        plain = self._association(Undecided(self._engine, "plain", seen), caller)
        connection = self._connection
        return [
            Question(
                f"C-FIND {words}", lambda: _c_find(decided, identifier), lambda: _c_find(plain, identifier)
            ),
            Question(
                f"  of it the catalog, {words}",
                lambda: sum(1 for _ in find(connection, query, caller, NOW, REACH)),
                lambda: sum(1 for _ in _Search(connection, parse(query), seen).matches(None)),
                bounded=False,
            ),
        ]

    def retrieving(self, caller: Caller, words: str, series: str, *, originals: bool) -> list[Question]:
        """The catalog's part in a retrieve of a series."""
        query = Query(Root.STUDY, Level.SERIES, (Key("SeriesInstanceUID", (series,)),), relational=True)
        seen = undecided(Right.RETRIEVE, originals=originals)
        connection = self._connection
        return [
            Question(
                f"retrieve {words}, {caller.name}",
                lambda: sum(1 for _ in instances(connection, query, caller, None, NOW, reach=REACH)),
                lambda: sum(1 for _ in _resolve(connection, _parse(query), seen)),
            )
        ]

    def _association(self, releases: Releases, caller: Caller) -> Client:
        port = self._stack.enter_context(serving(Answering(releases, caller), _PATIENT))
        contexts = [(ROOT["study"] + FIND, [wire.IMPLICIT])]
        return self._stack.enter_context(Client(("127.0.0.1", port), "BENCH", contexts))


def _c_find(client: Client, identifier: bytes) -> int:
    """Ask, and read every response; its content is not decoded."""
    fields = {
        "CommandField": C_FIND,
        "MessageID": 1,
        "AffectedSOPClassUID": ROOT["study"] + FIND,
        "Priority": 0,
    }
    client.link.send(1, fields, identifier)
    rows = 0
    while (message := client.link.receive()).command["Status"] in PENDING:
        rows += 1
    assert message.command["Status"] == 0
    return rows


def questions(bench: Bench, studies: int) -> list[Question]:
    """Questions whose answer is the same with the decision and without it."""
    granted = studies // 14 * 7  # a patient with a grant of its own, and there
    few = "20100101-20100103"
    several = (
        bench.finding(alpha, "one Patient ID", originals=True, PatientID=f"P{granted}"),
        bench.finding(alpha, "one accession", originals=True, AccessionNumber=f"A{studies // 3}"),
        bench.finding(alpha, "one Study UID", originals=True, StudyInstanceUID=f"1.2.3.{studies // 2}.1"),
        bench.finding(alpha, "SMI*", originals=True, PatientName="SMI*"),
        bench.finding(alpha, "three days", originals=True, StudyDate=few),
        bench.finding(alpha, "a miss", originals=True, PatientID="NOSUCH"),
        bench.finding(physician, "one Patient ID", originals=True, PatientID="P0"),
        bench.finding(
            researcher, "one Study UID", originals=False, StudyInstanceUID=f"2.25.{studies // 2}.1"
        ),
        bench.finding(researcher, "three days", originals=False, StudyDate=f"19{few[2:8]}-19{few[11:]}"),
        bench.retrieving(alpha, "200 originals", "8.8.1", originals=True),
        bench.retrieving(researcher, "200 images", pseudonym("8.8.1"), originals=False),
    )
    return [question for each in several for question in each]


def opened(url: str) -> sa.Engine:
    """The database as a gateway makes and opens it: migrated, so that row-level security counts, too."""
    engine = database.open_engine(Configuration(catalog={"url": url}))
    database.migrate(engine)
    return engine


def clock_of(engine: sa.Engine) -> Clock:
    """CPU seconds of all that is asked, which neighbours on the machine disturb least.

    Of this process, which is peer, door and with SQLite the database, and of those that PostgreSQL serves us
    with. The disk's share, which both ways have alike, is left out.
    """
    if engine.dialect.name == "sqlite":
        return time.process_time
    with engine.connect() as connection:
        mine = "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
        spent = [Path(f"/proc/{pid}/schedstat") for pid in connection.scalars(sa.text(mine))]
    return lambda: time.process_time() + sum(int(path.read_text().split()[0]) / 1e9 for path in spent)


def populate(engine: sa.Engine, studies: int, grants: int) -> None:
    """Load studies, one series of many images, and grants that name a patient, for two callers."""
    world = World(engine)
    load(engine, studies)
    world.store_and_publish(
        *(
            Image(
                f"8.8.1.{number}",
                study="8.8",
                series="8.8.1",
                patient="PX",
                values={"InstanceNumber": number},
            )
            for number in range(IMAGES)
        ),
        record="record-x",
    )
    with engine.begin() as connection:
        for caller in (alpha, physician):
            who = Who(user=caller.assertions.user)
            for number in range(grants):
                write(connection, Grant(who=who, what=What(patient_key=f"pk{number * 7}"), may=FULL))
    with (
        engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
        suppress(AttributeError),
    ):
        connection.exec_driver_sql("ANALYZE")


def measured(question: Question, rounds: int, engine: sa.Engine) -> tuple[int, float, float]:
    """Rows, and the median milliseconds with the decision and without it, asked in turns."""
    rows = {ask() for ask in (question.decided, question.plain) for _ in range(3)}
    assert len(rows) == 1, f"{question.words}: the answers differ: {rows}"
    clock = clock_of(engine)  # after the first questions: every connection is there
    began = clock()
    question.plain()
    times = max(1, round(BATCH_SECONDS / max(clock() - began, 1e-6)))
    both: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds):
        order = ((0, question.decided), (1, question.plain))
        for place, ask in order if number % 2 else order[::-1]:
            began = clock()
            for _ in range(times):
                ask()
            both[place].append((clock() - began) / times * 1e3)
    decided, plain = map(statistics.median, both)
    return rows.pop(), decided, plain


def table(asked: Sequence[Question], engine: sa.Engine, rounds: int = ROUNDS) -> tuple[list[str], float]:
    """Lines to print, and the largest ratio of those that are bounded."""
    lines = [f"{'':52}{'rows':>6}{'decided ms':>12}{'plain ms':>10}{'ratio':>8}"]
    worst = 0.0
    for question in asked:
        rows, decided, plain = measured(question, rounds, engine)
        worst = max(worst, decided / plain if question.bounded else 0)
        lines.append(f"{question.words:52}{rows:6}{decided:12.2f}{plain:10.2f}{decided / plain:8.2f}")
    return lines, worst


@contextmanager
def databases() -> Iterator[dict[str, str]]:
    """URLs of an empty database of each kind; PostgreSQL is left out where there is none."""
    with tempfile.TemporaryDirectory() as folder:
        urls = {"SQLite": f"sqlite:///{Path(folder) / 'catalog.db'}"}
        try:
            with running_postgres() as server, server.database() as url:
                yield urls | {"PostgreSQL": url}
        except pytest.skip.Exception as missing:
            _say(f"PostgreSQL left out: {missing}")
            yield urls


def main() -> int:
    """Print the tables; 1 where a question passes the bound."""
    studies = int(sys.argv[1]) if len(sys.argv) > 1 else STUDIES
    grants = int(sys.argv[2]) if len(sys.argv) > 2 else GRANTS
    worst = 0.0
    with databases() as urls:
        for name, url in urls.items():
            engine = opened(url)
            populate(engine, studies, grants)
            with ExitStack() as stack:
                lines, ratio = table(questions(Bench(engine, stack), studies), engine)
            _say("\n".join([f"{name}: {studies} studies, {grants} grants a caller", *lines]))
            worst = max(worst, ratio)
            engine.dispose()
    _say(f"largest ratio {worst:.2f}, bound {MOST:.2f}")
    return int(worst > MOST)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
