from typing import NamedTuple


class Done(NamedTuple):
    """One finished element (or item): its explicit little endian bytes, and what was done (tag, action)."""

    data: bytes
    notes: tuple[tuple[int, str], ...] = ()


class Memo:
    """Finished elements by their original bytes, so that a series pays for each distinct element once.

    The original bytes are PHI: the memo is bounded and forgets on demand. Elements above LONGEST_BYTES are
    not to be put into it.
    """

    _MOST_ENTRIES = 8192
    LONGEST_BYTES = 4096

    def __init__(self) -> None:
        """Start empty."""
        self._places: dict[object, dict[bytes, Done]] = {}
        self._entries = 0

    def at(self, place: object) -> dict[bytes, Done]:
        """Return what is remembered for one place: everything but its bytes that an outcome depends on."""
        found = self._places.get(place)
        if found is None:
            found = self._places[place] = {}
        return found

    def keep(self, known: dict[bytes, Done], raw: bytes, done: Done) -> None:
        """Remember an outcome in what `at` returned; forget all others when full."""
        if self._entries >= self._MOST_ENTRIES:
            self.forget()
        self._entries += 1
        known[raw] = done

    def forget(self) -> None:
        """Forget everything."""
        for known in self._places.values():
            known.clear()
        self._entries = 0
