"""The hunt for canaries: everything written is searched, in every form, also inside what is packed in it."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from tests.canary import Search
from tests.planted.canaries import Canary
from tests.planted.dig import layers, of_file
from tests.planted.forms import forms


class Leak(NamedTuple):
    """A canary that came out: where it was planted, and where and in which form it was found."""

    canary: Canary
    form: str
    found_in: str

    def __str__(self) -> str:
        planted = f"{self.canary.file}, {self.canary.place}"
        return f"{self.canary.kind} of {planted}: as {self.form} in {self.found_in}"


def leaks(where: Path | bytes | Mapping[str, bytes], canaries: Iterable[Canary]) -> list[Leak]:
    """Return the canaries found in a file, a folder (its names count, too), bytes, or named bytes."""
    return Hunter(canaries).leaks(where)


class Hunter:
    """A set of canaries made ready, for several searches."""

    def __init__(self, canaries: Iterable[Canary]) -> None:
        by_form: dict[bytes, list[tuple[str, Canary]]] = {}
        known: dict[str, dict[bytes, str]] = {}
        for canary in canaries:
            key = f"{canary.kind} {canary.text} {canary.raw!r}"
            if key not in known:
                known[key] = forms(canary)
                for raw, name in known[key].items():
                    by_form.setdefault(raw, []).append((name, canary))
        self._by_form = by_form
        self._search = Search(by_form)

    def leaks(self, where: Path | bytes | Mapping[str, bytes]) -> list[Leak]:
        found: dict[tuple[Canary, str], Leak] = {}
        for name, data in _sources(where):
            for raw, way in _all_layers(data):
                for form, canary in self._found(raw):
                    leak = Leak(canary, form, name if way == "bytes" else f"{name} ({way})")
                    found.setdefault((canary, name), leak)
        return list(found.values())

    def _found(self, data: bytes) -> Iterator[tuple[str, Canary]]:
        for form, end in self._search.hits(data):
            for name, canary in self._by_form[form]:
                if name != "text" or canary.kind not in {"number", "date"} or _alone(data, form, end, canary):
                    yield name, canary


def _alone(data: bytes, form: bytes, end: int, canary: Canary) -> bool:
    """Whether digits stand for themselves; behind a date a time of day may stand, outside of UIDs."""
    before, after = data[max(0, end - len(form) - 1) : end - len(form)], data[end : end + 1]
    if before.isdigit():
        return False
    if canary.kind == "date" and before != b".":
        return True
    return not after.isdigit() or data[end + 1 : end + 2] < b" "  # the tag of the next element


def _all_layers(data: bytes) -> Iterator[tuple[bytes, str]]:
    yield from layers(data)
    for raw, way in of_file(data):
        yield raw, way
        yield from ((inner, f"{more} in {way}") for inner, more in layers(raw) if more != "bytes")


def _sources(where: Path | bytes | Mapping[str, bytes]) -> Iterator[tuple[str, bytes]]:
    if isinstance(where, bytes):
        yield "bytes", where
    elif isinstance(where, Path):
        base = where if where.is_dir() else where.parent
        files = sorted(one for one in where.rglob("*") if one.is_file()) if where.is_dir() else [where]
        names = [str(one.relative_to(base)) for one in files]
        yield "file names", "\n".join(names).encode()
        yield from zip(names, (one.read_bytes() for one in files), strict=True)
    else:
        yield from where.items()
