"""`dgis demo`: a real gateway, three folder nodes, and every promise checked where all can see it."""

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydicom.dataset import Dataset
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from dgis.demo import kinds, leaks, phantoms
from dgis.demo.checks import Checks
from dgis.demo.gateway import DemoError, Gateway
from dgis.demo.peer import Image, Peer, workstation
from dgis.demo.people import PEOPLE

_PLAN = ((kinds.CT, PEOPLE[0], 40), (kinds.MR, PEOPLE[1], 40), (kinds.PET, PEOPLE[2], 60))
_MARKER = "made-by-dgis-demo"
_NODES = ("node-a", "node-b", "node-c")
_LOST_NODE = _NODES[0]
_SHOWN = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "StudyDate",
    "AccessionNumber",
    "StudyDescription",
    "StudyInstanceUID",
)


def run_demo(home: Path | None, console: Console) -> Checks:
    """Tell the whole story once.

    Args:
        home: where the demo's gateway keeps its data, kept afterwards; None: a temporary folder.
        console: where progress, the tables and each check are printed.

    Raises:
        DemoError: it could not be told to its end; the message says why.
    """
    checks = Checks(console)
    with (
        _home(home) as folder,
        workstation("HOSPITAL_WS") as (hospital_port, hospital_screen),
        workstation("RESEARCH_WS") as (research_port, research_screen),
    ):
        places = {"HOSPITAL_WS": hospital_port, "RESEARCH_WS": research_port}
        with Gateway(folder, places) as gateway:
            host, port = gateway.address
            console.print(f"gateway on {host}:{port}, home {folder}", markup=False)
            story = _Story(gateway, checks, console)
            story.store()
            story.publish()
            story.compare_callers()
            story.lose_the_cache_and_a_node()
            story.fetch(hospital_screen, research_screen)
            story.repair()
            story.search_the_nodes()
            checks.that("the gateway stops clean", held=gateway.stop() == 0)
    return checks


class _Story:
    """The steps, in order; each leaves behind what the next one needs."""

    def __init__(self, gateway: Gateway, checks: Checks, console: Console) -> None:
        self._gateway, self._checks, self._console = gateway, checks, console
        self._hospital = Peer("HOSPITAL_1", gateway.address)
        self._research = Peer("RESEARCH_1", gateway.address)
        self._sent: list[phantoms.Instance] = []
        self._pseudonyms: list[str] = []  # study UIDs as the researcher found them

    def store(self) -> None:
        """Push the phantoms as a modality would."""
        total = sum(count for _, _, count in _PLAN)
        stored = 0
        with _progress(self._console) as progress:
            task = progress.add_task("C-STORE as HOSPITAL_1", total=total)
            for kind, person, count in _PLAN:
                instances = list(phantoms.series(kind, person, count))
                self._sent += instances
                stored += self._hospital.store(instances, lambda: progress.advance(task))
        raw = sum(len(instance.dataset) for instance in self._sent)
        self._checks.that(
            "every image was answered with success", held=stored == total, seen=f"{stored} images, {_mb(raw)}"
        )

    def publish(self) -> None:
        """Wait for the commit point of every series, and weigh what lies on a node."""
        with self._console.status("de-identify, compress, seal, put on three nodes ..."):
            self._gateway.run("wait", "--timeout", "60")
        raw = sum(len(instance.dataset) for instance in self._sent)
        kept = self._gateway.node(_LOST_NODE).size_bytes()
        self._checks.that(
            "every series is published and smaller than it came",
            held=0 < kept < raw,
            seen=f"record and sealed companion {_mb(kept)}, {100 - 100 * kept // raw} % saved on each node",
        )

    def compare_callers(self) -> None:
        """Ask the same of both callers."""
        keys = dict.fromkeys((*_SHOWN, "ModalitiesInStudy"), "")
        cleared = _by_modality(self._hospital.find(keys))
        uncleared = _by_modality(self._research.find(keys))
        self._pseudonyms = [str(study.StudyInstanceUID) for study in uncleared.values()]
        self._console.print(_side_by_side(cleared, uncleared))
        names = {str(study.PatientName) for study in cleared.values()}
        self._checks.that(
            "a cleared caller finds the originals", held=names == {person.name for _, person, _ in _PLAN}
        )
        leaky = any(leaks.known(phantoms.encode(study)) for study in uncleared.values())
        self._checks.that(
            "an uncleared caller finds pseudonyms only", held=len(uncleared) == len(_PLAN) and not leaky
        )
        asked = [{"PatientID": person.patient_id} for person in PEOPLE]
        asked += [{"PatientName": person.name.split("^")[0] + "*"} for person in PEOPLE]
        asked += [{"PatientBirthDate": person.birth_date} for person in PEOPLE]
        asked += [{"StudyInstanceUID": instance.study_uid} for instance in self._sent[:1]]
        answers = sum(len(self._research.find({"StudyInstanceUID": "", **keys})) for keys in asked)
        self._checks.that("asking by original values tells an uncleared caller nothing", held=answers == 0)

    def lose_the_cache_and_a_node(self) -> None:
        """Leave the gateway with two nodes and nothing in its cache."""
        self._gateway.run("cache", "evict", "--all")
        self._gateway.take_away(_LOST_NODE)
        self._console.print(f"[yellow]the cache is emptied, {_LOST_NODE} is gone[/yellow]")

    def fetch(self, hospital_screen: list[Image], research_screen: list[Image]) -> None:
        """Fetch everything both ways as both callers."""
        originals = list(dict.fromkeys(instance.study_uid for instance in self._sent))
        fetched = self._get(self._hospital, originals)
        self._identical("C-GET by a cleared caller gives the very bytes", fetched)
        with self._console.status("C-MOVE to HOSPITAL_WS ..."):
            self._hospital.move(originals, "HOSPITAL_WS")
        self._identical("C-MOVE to a cleared workstation too", hospital_screen)
        fetched = self._get(self._research, self._pseudonyms)
        self._deidentified("C-GET by an uncleared caller gives the same pixels and no identity", fetched)
        with self._console.status("C-MOVE to RESEARCH_WS ..."):
            self._research.move(self._pseudonyms, "RESEARCH_WS")
        self._deidentified("C-MOVE to an uncleared workstation too", research_screen)
        came = len(research_screen)
        self._hospital.move(originals, "RESEARCH_WS")
        self._checks.that(
            "a cleared caller cannot send originals to an uncleared workstation",
            held=len(research_screen) == came,
        )

    def repair(self) -> None:
        """Bring the node back as an empty disk, and have the copies made again."""
        self._gateway.replace(_LOST_NODE)
        with self._console.status(f"{_LOST_NODE} is back, empty; making its copies again ..."):
            self._gateway.run("repair")
        nodes = [self._gateway.node(name) for name in _NODES]
        held = [node.digests() for node in nodes]
        self._checks.that(
            "every copy is there again, the same bytes on three nodes",
            held=bool(held[0]) and held[0] == held[1] == held[2],
            seen=f"{len(held[0])} objects on each",
        )
        broken = [name for node in nodes for name in node.damaged()]
        self._checks.that("every record verifies with no database at hand", held=not broken)

    def search_the_nodes(self) -> None:
        """Look for identity in every byte that left the gateway's own keeping, and in its log."""
        nodes = [self._gateway.node(name) for name in _NODES]
        leaky = [name for node in nodes for name, body in node.objects() if leaks.known(body)]
        leaky += [node.name for node in nodes for header in node.headers() if leaks.known(header)]
        self._checks.that("no identity on any node, in the compressed headers neither", held=not leaky)
        self._checks.that("no identity in the log", held=not leaks.known(self._gateway.log()))

    def _get(self, peer: Peer, study_uids: list[str]) -> list[Image]:
        with _progress(self._console) as progress:
            task = progress.add_task(f"C-GET as {peer.title}", total=len(self._sent))
            return peer.get(study_uids, lambda: progress.advance(task))

    def _identical(self, claim: str, images: list[Image]) -> None:
        sent = {instance.sop_instance_uid: instance.dataset for instance in self._sent}
        same = sum(sent.get(image.sop_instance_uid) == image.dataset for image in images)
        held = same == len(images) == len(sent)
        self._checks.that(claim, held=held, seen=f"{same} of {len(sent)} identical")

    def _deidentified(self, claim: str, images: list[Image]) -> None:
        sent = Counter(instance.pixels for instance in self._sent)
        received = Counter(image.pixels for image in images)
        leaky = sum(leaks.known(image.dataset) for image in images)
        self._checks.that(
            claim,
            held=sent == received and not leaky,
            seen=f"{(sent & received).total()} of {sent.total()} with the same pixels, {leaky} with identity",
        )


@contextmanager
def _home(home: Path | None) -> Iterator[Path]:
    if home is None:
        with tempfile.TemporaryDirectory(prefix="dgis-demo-") as folder:
            yield Path(folder)
        return
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    if any(home.iterdir()) and not (home / _MARKER).exists():
        # The story wipes a node: it must never be told on somebody's real data.
        raise DemoError(f"{home} holds something that is not the demo's: name a new or empty folder")
    for old in home.iterdir():
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    (home / _MARKER).touch()
    yield home


def _progress(console: Console) -> Progress:
    return Progress(console=console, transient=True, disable=not console.is_terminal)


def _by_modality(studies: list[Dataset]) -> dict[str, Dataset]:
    return {str(study.ModalitiesInStudy): study for study in studies}


def _side_by_side(cleared: dict[str, Dataset], uncleared: dict[str, Dataset]) -> Table:
    table = Table(title="C-FIND, the same question from two callers", title_justify="left")
    for heading in ("", "attribute", "HOSPITAL_1 sees", "RESEARCH_1 sees"):
        table.add_column(heading, overflow="fold")
    for modality in sorted(cleared):
        for keyword in _SHOWN:
            seen = [str(found.get(modality, Dataset()).get(keyword, "")) for found in (cleared, uncleared)]
            table.add_row(modality if keyword == _SHOWN[0] else "", keyword, *seen)
        table.add_section()
    return table


def _mb(count: int) -> str:
    return f"{count / 1e6:.1f} MB"
