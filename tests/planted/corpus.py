"""The planted corpus: small files, each with one kind of hiding place, made anew from a number."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tests.planted import (
    codestreams,
    envelope,
    headers,
    many,
    objects,
    pixels,
    private,
    references,
    reports,
    values,
)
from tests.planted.canaries import Canary, Planter
from tests.planted.charsets import CHARSETS
from tests.planted.instance import CT, MR, PET, Instance, Target, instance, people
from tests.planted.raw import Field

Place = Callable[[Instance], None]


@dataclass(frozen=True)
class PlantedFile:
    """A file of the corpus, and the UIDs by which others refer to it."""

    name: str
    study: str
    series: str
    instance: str
    data: bytes = field(repr=False)


@dataclass(frozen=True)
class Corpus:
    """What was planted: files by name, and everything that must not come out of them."""

    files: tuple[PlantedFile, ...]
    canaries: tuple[Canary, ...] = field(repr=False)

    def of(self, name: str) -> tuple[Canary, ...]:
        """The canaries of one file, and those of the people."""
        return tuple(one for one in self.canaries if one.file in {name, "every file"})


def write_corpus(folder: Path, seed: int) -> Corpus:
    """Write the corpus of a seed into a folder; the same seed gives the same files."""
    corpus = planted(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for one in corpus.files:
        (folder / one.name).write_bytes(one.data)
    return corpus


def planted(seed: int) -> Corpus:
    """Return the corpus of a seed."""
    studies, canaries = people(seed)
    files: list[PlantedFile] = []
    for number, (name, place) in enumerate(places()):
        planter = Planter(f"{seed} {name}", name)
        group = 0 if name.startswith("series") else number
        study = studies[group % len(studies)]
        uid = planter.uid("SOPInstanceUID")
        one = instance(planter, study, group, uid, (CT, MR, PET)[group % 3])
        # Nobody takes instance numbers out: by them outputs are told apart whose names are new (tests/bench).
        one.add({0x00200013: Field("IS", str(number + 1))})
        if group:
            _refer(one, files)
        place(one)
        if name in _varied():
            one.vary()
        files.append(PlantedFile(name, study.uid, one.series, uid, one.written()))
        canaries += planter.canaries
    return Corpus(tuple(files), tuple(canaries))


def places() -> Iterator[tuple[str, Place]]:
    """Yield every hiding place by the name of its file."""
    yield from ((f"charset-{number:02}.dcm", values.charset(term)) for number, term in enumerate(CHARSETS))
    yield from ((f"depth-{depth:02}.dcm", headers.deep(depth)) for depth in headers.DEPTHS)
    yield from ((f"{kind}.dcm", objects.document(kind)) for kind in ("pdf", "cda", "stl"))
    yield from ((f"series-{number}.dcm", headers.in_series(number)) for number in range(1, 6))
    for module in (headers, *_VARIED, pixels, codestreams, envelope):
        yield from ((_name(place), place) for place in module.PLACES)
    yield from ((f"refers-{kind}.dcm", references.kind(kind)) for kind in references.KINDS)


_VARIED = (values, private, many, reports, objects)
_EXPLICIT = {
    "dates-in-text.dcm",
    "uid-carriers.dcm",
}  # text in sequences: in an implicit syntax they are damaged


@cache
def _varied() -> frozenset[str]:
    """The names of files that are written in another syntax with every seed."""
    named = {_name(place) for module in _VARIED for place in module.PLACES}
    others = (name for name, _place in places() if name.startswith(("charset", "refers")))
    return frozenset({*named, *others}) - _EXPLICIT


def _name(place: Place) -> str:
    return f"{place.__name__.replace('_', '-')}.dcm"


def _refer(one: Instance, files: list[PlantedFile]) -> None:
    """Refer to other files of the corpus: their studies, series and instances."""
    chosen = one.planter.random.sample(files, min(3, len(files)))
    one.refer(tuple(Target(other.study, other.series, other.instance) for other in chosen))
