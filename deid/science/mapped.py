from collections.abc import Iterable, Sequence

from deid.profile import Option, Profile

_MOST_UIDS = 1 << 16


class KnownMapping:
    """How dates and UIDs of one patient were mapped so far; learns from instances that passed only."""

    def __init__(self, profile: Profile) -> None:
        """Know nothing but that full dates are not moved at all."""
        self._days: int | None = 0 if profile.has(Option.FULL_DATES) else None
        self._published: dict[bytes, bytes] = {}
        self._originals: dict[bytes, bytes] = {}

    def contradiction(self, days: Iterable[int], uids: Sequence[tuple[bytes, bytes]]) -> str | None:
        """Return why an instance does not fit what is known, in words; where it does, remember it."""
        known = set(days) if self._days is None else {*days, self._days}
        if len(known) > 1:
            return "dates are moved by different numbers of days"
        if len(self._published) > _MOST_UIDS:
            self._published.clear()
            self._originals.clear()
        new: dict[bytes, bytes] = {}
        back: dict[bytes, bytes] = {}
        for original, published in uids:
            one = self._published.get(original) or new.setdefault(original, published)
            other = self._originals.get(published) or back.setdefault(published, original)
            if one != published or other != original:
                return "a UID has two pseudonyms, or two UIDs have one"
        self._published |= new
        self._originals |= back
        self._days = next(iter(known), None)
        return None
