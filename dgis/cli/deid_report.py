"""What `dgis deid` tells of its work: a document for scripts, a few tables for people, no name in either."""

from typing import Any

from pydicom.datadict import keyword_for_tag

from deid.files import Fate, Restored, SeriesTally, Tally
from deid.files.tally import TROUBLE, SeriesKey
from deid.profile import Profile
from dgis.cli.common import console, print_table

_MOST_SERIES = 10
# Action codes of PS3.15 E.1 by what they do to a value.
_COLUMNS = {"removed": "X", "emptied": "Z", "replaced": "DU", "cleaned": "C"}
NO_WAY_BACK = "Nothing was sealed (no --sealed): there is no way back but the originals themselves."


def document(tally: Tally, profile: Profile, *, sealed: bool, name_files: bool) -> dict[str, Any]:
    """Return everything there is to tell; input paths only where they were asked for."""
    return {
        "profile": {
            "edition": profile.edition,
            "options": sorted(option.column for option in profile.options),
        },
        "files": tally.files,
        "read_bytes": tally.read_bytes,
        "written_bytes": tally.written_bytes,
        **{fate.value.replace(" ", "_"): tally.fates[fate] for fate in Fate},
        "unchanged": tally.unchanged,
        "sealed": tally.sealed if sealed else None,
        "reasons": [
            {"fate": fate.value, "reason": reason, "files": count} for fate, reason, count in _reasons(tally)
        ],
        "series": [_series(key, tally.series[key]) for key in sorted(tally.series)],
        "not_published": [
            {"file": note.number, "fate": note.fate.value, "reason": note.reason}
            | ({"path": note.path} if name_files else {})
            for note in tally.notes
        ],
    }


def tell(tally: Tally, *, sealed: bool, name_files: bool) -> None:
    """Print what people want to know at the end."""
    counts = ", ".join(f"{tally.fates[fate]} {fate.value}" for fate in Fate if tally.fates[fate])
    console.print(f"{tally.files} files: {counts or 'nothing'}")
    if tally.unchanged:
        console.print(f"{tally.unchanged} of the published lay there already, with the same bytes")
    reasons = list(_reasons(tally))
    if reasons:
        rows = [(str(count), fate.value, reason) for fate, reason, count in reasons]
        print_table(("files", "", "because"), rows)
    if tally.series:
        _tell_series(tally)
    if name_files:
        for note in tally.notes:
            console.print(f"{note.fate.value}: {_printable(note.path)}: {note.reason}", soft_wrap=True)
    elif any(tally.fates[fate] for fate in TROUBLE):
        console.print("--name-files says which files; their names may name patients")
    console.print(f"{tally.sealed} originals are sealed." if sealed else NO_WAY_BACK)


def tell_restored(told: Restored) -> None:
    """Print what was given back."""
    console.print(f"{told.written} originals given back, {told.unchanged} were there already")
    if told.beside:
        console.print(f"{told.beside} have a path that another original has too: they end in ~2 and so on")
    if told.failed:
        rows = [(str(count), reason) for reason, count in sorted(told.failed.items())]
        print_table(("originals", "not given back because"), rows)


def restored_document(told: Restored) -> dict[str, Any]:
    """Return what was given back, for scripts."""
    return {
        "files": told.files,
        "restored": told.written,
        "unchanged": told.unchanged,
        "beside": told.beside,
        "written_bytes": told.bytes,
        "failed": sum(told.failed.values()),
        "reasons": [{"reason": reason, "files": count} for reason, count in sorted(told.failed.items())],
    }


def _reasons(tally: Tally) -> list[tuple[Fate, str, int]]:
    counted: dict[tuple[Fate, str], int] = {}
    for note in tally.notes:
        key = (note.fate, note.reason)
        counted[key] = counted.get(key, 0) + 1
    order = list(Fate)
    return sorted(
        ((fate, reason, count) for (fate, reason), count in counted.items()),
        key=lambda one: (order.index(one[0]), -one[2], one[1]),
    )


def _series(key: SeriesKey, series: SeriesTally) -> dict[str, Any]:
    return {
        "patient": series.patient,
        "study": key.study,
        "series": key.series,
        "published": series.published,
        "withheld": dict(sorted(series.withheld.items())),
        "removed": dict(sorted(series.removed.items())),
        "elements": [
            {
                "tag": f"({tag >> 16:04X},{tag & 0xFFFF:04X})",
                "keyword": keyword_for_tag(tag),
                "action": action,
                "count": count,
            }
            for (tag, action), count in sorted(series.actions.items())
        ],
    }


def _tell_series(tally: Tally) -> None:
    """Print a line for each of the first series: instances, and what became of their attributes."""
    rows = []
    for key in sorted(tally.series)[:_MOST_SERIES]:
        series = tally.series[key]
        changed = (
            sum(count for (_tag, action), count in series.actions.items() if action in codes)
            for codes in _COLUMNS.values()
        )
        numbers = map(str, (series.published, series.withheld.total(), *changed))
        rows.append((series.patient or "-", key.series or "-", *numbers))
    print_table(("patient", "series", "published", "withheld", *_COLUMNS), rows)
    _tell_removed(tally)
    if len(tally.series) > _MOST_SERIES:
        console.print(f"and {len(tally.series) - _MOST_SERIES} series more (--report FILE has them all)")


def _tell_removed(tally: Tally) -> None:
    """Say of each of the first series what it is no longer good for."""
    for key in sorted(tally.series)[:_MOST_SERIES]:
        series = tally.series[key]
        if not series.removed:
            continue
        console.print(f"What the options removed from series {key.series}:", soft_wrap=True)
        for words, count in sorted(series.removed.items()):
            which = "" if count == series.published else f", in {count} of {series.published}"
            console.print(f"  {words}{which}", soft_wrap=True)


def _printable(path: str) -> str:
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
