"""One mutated file: where it began and what was done to it, short enough to be written down."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random

from tests.tools.mutation import bent, fragments, sources, torn, wrapped
from tests.tools.mutation.tree import read

STRUCTURE = (*bent.OPERATORS, *wrapped.OPERATORS, *fragments.OPERATORS)
NAMES = tuple(f"{one.__module__.rpartition('.')[2]}.{one.__name__}" for one in (*STRUCTURE, *torn.TEARS))


@dataclass(frozen=True, slots=True)
class Case:
    """A source by its name, which options it is de-identified with, and the steps: operator and seed."""

    source: str
    options: int
    steps: tuple[tuple[str, int], ...]

    def __repr__(self) -> str:
        return json.dumps([self.source, self.options, self.steps])

    @staticmethod
    def parse(text: str) -> "Case":
        """Return the case that `repr` wrote down."""
        source, options, steps = json.loads(text)
        return Case(source, options, tuple((name, seed) for name, seed in steps))

    def file(self) -> bytes:
        """Return the mutated file: first its structure is bent, then its bytes are torn."""
        raw = sources.source(self.source).file
        places = [(NAMES.index(name), Random(seed)) for name, seed in self.steps]
        bends = [(STRUCTURE[place], random) for place, random in places if place < len(STRUCTURE)]
        if bends:
            with _nested_deep():
                doc = read(raw)
                for bend, random in bends:
                    bend(doc, random)
                raw = doc.written()
        for place, random in places:
            if place >= len(STRUCTURE):
                raw = torn.TEARS[place - len(STRUCTURE)](raw, random)
        return raw

    def canaries(self) -> Sequence[bytes]:
        """Return what must not be published, whichever file it came from."""
        found = dict.fromkeys(sources.source(self.source).canaries)
        found.update(dict.fromkeys(text.encode() for _vr, text in sources.CANARIES.values()))
        return list(found)


@contextmanager
def _nested_deep() -> Iterator[None]:
    """Let the tool copy and write what it nested by the hundred; the engine gets no such leave."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
