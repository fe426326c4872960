"""Mutations that know nothing of DICOM: bits, ranges, ends. One function each, by a seed."""

from collections.abc import Callable
from random import Random

from tests.tools.mutation import sources

Tear = Callable[[bytes, Random], bytes]

_SIZES = (1, 1, 2, 4, 8, 32, 200)


def flip(file: bytes, random: Random) -> bytes:
    """Flip a few bits."""
    changed = bytearray(file)
    for _ in range(random.choice((1, 2, 8)) if changed else 0):
        changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def fill(file: bytes, random: Random) -> bytes:
    """Overwrite a range with one byte, or with anything."""
    at, size = _range(file, random)
    patch = random.choice((bytes(size), b"\xff" * size, b" " * size, random.randbytes(size)))
    return file[:at] + patch + file[at + size :]


def cut(file: bytes, random: Random) -> bytes:
    """Cut a range out."""
    at, size = _range(file, random)
    return file[:at] + file[at + size :]


def end(file: bytes, random: Random) -> bytes:
    """Cut the end off."""
    return file[: random.randrange(len(file) + 1)]


def double(file: bytes, random: Random) -> bytes:
    """Write a range once more, there or elsewhere."""
    at, size = _range(file, random)
    to = random.choice((at, _range(file, random)[0]))
    return file[:to] + file[at : at + size] + file[to:]


def insert(file: bytes, random: Random) -> bytes:
    """Insert anything."""
    at, size = _range(file, random)
    return file[:at] + random.randbytes(size) + file[at:]


def turn(file: bytes, random: Random) -> bytes:
    """Turn the bytes of a range round."""
    at, size = _range(file, random)
    return file[:at] + file[at : at + size][::-1] + file[at + size :]


def splice(file: bytes, random: Random) -> bytes:
    """Go on with another file, from anywhere in it."""
    other = sources.source(random.choice(sources.names())).file
    return file[: random.randrange(len(file) + 1)] + other[random.randrange(len(other) + 1) :]


TEARS: tuple[Tear, ...] = (flip, fill, cut, end, double, insert, turn, splice)


def _range(file: bytes, random: Random) -> tuple[int, int]:
    """Return where something is done; headers more often than what follows them."""
    size = len(file)
    near = random.random() < 0.7
    return random.randrange(min(size, 2000) + 1 if near else size + 1), random.choice(_SIZES)
