"""`dgis find` and `dgis fetch`: query and retrieve under the same decision as the doors."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress

from catalog.callers import Caller, Right
from catalog.query import InvalidQuery, Key, Level, Query, Root
from catalog.release import Asker, Releases
from dgis import fleet, parts
from dgis.cache.index import CacheIndex
from dgis.cli.common import (
    FAILED,
    AsJson,
    Config,
    Home,
    console,
    errors,
    fail,
    failures_in_words,
    print_json,
    print_table,
)
from dgis.cli.opening import Opened, opened
from dgis.configuration import Configuration
from dgis.identity.peers import asserted
from dgis.keyholder.client import KeyholderClient
from dgis.keyholder.protocol import KeyholderGone
from dgis.retriever.files import write_part10
from dgis.retriever.outgoing import Sendable
from dgis.retriever.records import NotHere, Shelf
from dgis.retriever.retriever import Retriever
from replica.source import Reporter


class LevelName(StrEnum):
    """Where to look."""

    PATIENT = "patient"
    STUDY = "study"
    SERIES = "series"
    IMAGE = "image"


_COLUMNS = {
    LevelName.PATIENT: ("PatientName", "PatientID", "NumberOfPatientRelatedStudies"),
    LevelName.STUDY: (
        "PatientName",
        "StudyDate",
        "StudyInstanceUID",
        "ModalitiesInStudy",
        "StudyDescription",
    ),
    LevelName.SERIES: ("Modality", "SeriesNumber", "SeriesInstanceUID", "NumberOfSeriesRelatedInstances"),
    LevelName.IMAGE: ("InstanceNumber", "SOPInstanceUID", "SOPClassUID"),
}
_UNIQUE = {
    LevelName.STUDY: (Level.STUDY, "StudyInstanceUID"),
    LevelName.SERIES: (Level.SERIES, "SeriesInstanceUID"),
    LevelName.IMAGE: (Level.IMAGE, "SOPInstanceUID"),
}


def find_command(
    level: Annotated[LevelName, typer.Argument()],
    key: Annotated[
        list[str], typer.Option("-k", "--key", help="Keyword=Value to match, Keyword to show.")
    ] = [],  # noqa: B006
    limit: Annotated[int, typer.Option(help="Matches at most.")] = 1000,
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Find patients, studies, series or images as the caller of [cli] assertions (none: uncleared)."""
    asked = [_key(text) for text in key]
    named = {each.keyword for each in asked}
    keys = (*asked, *(Key(keyword) for keyword in _COLUMNS[level] if keyword not in named))
    query = Query(Root.PATIENT, Level(level.value.upper()), keys, relational=True, limit=limit)
    with failures_in_words(InvalidQuery), opened(home, config) as gateway:
        asker = Asker(caller_of_commands(gateway.configuration))
        rows = [dict(match.values) for match in _releases(gateway).find(query, asker)]
    if as_json:
        print_json(rows)
        return
    shown = [*dict.fromkeys([*_COLUMNS[level], *named])]
    print_table(shown, ([_text(row.get(keyword, "")) for keyword in shown] for row in rows))
    errors.print(f"{len(rows)} found" + (" (there may be more: --limit)" if len(rows) == limit else ""))


def fetch(
    uid: Annotated[str, typer.Argument(help="Study, series or SOP instance UID.")],
    to: Annotated[Path, typer.Option("--to", help="Folder for the DICOM files.")],
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Fetch by UID: an original's UID gives originals to the cleared, a pseudonym the de-identified form."""
    with failures_in_words(InvalidQuery, OSError), opened(home, config) as gateway:
        found = resolve(gateway, uid)
        if not found:
            fail("nothing by that UID that this caller may retrieve")
        written, failed = _write_all(found, to)
    if as_json:
        print_json({"files": written, "failed": failed, "folder": str(to)})
    else:
        console.print(f"{written} files in {to}", markup=False, soft_wrap=True)
    if failed:
        errors.print(f"{failed} could not be had; see the log of the worker")
        raise typer.Exit(FAILED)


def resolve(gateway: Opened, uid: str) -> Sequence[Sendable]:
    """Return what the caller of [cli] assertions may retrieve by a UID; nothing where it may not."""
    configuration = gateway.configuration
    reading = gateway.engine.execution_options(read_only=True)
    shelf = Shelf(reading, fleet.open_fleet(configuration), Reporter(gateway.engine, parts.now_ms))
    retriever = Retriever(
        reading,
        CacheIndex(gateway.log.files, gateway.gateway_id),
        shelf,
        KeyholderClient(parts.keyholder_socket(configuration)),
        parts.now_ms,
    )
    asker = Asker(caller_of_commands(configuration))
    for level, keyword in _UNIQUE.values():
        query = Query(Root.STUDY, level, (Key(keyword, (uid,)),), relational=True)
        refs = _releases(gateway).retrieve(query, asker)
        if refs:
            return retriever.prepare(refs)
    return ()


def _write_all(found: Sequence[Sendable], to: Path) -> tuple[int, int]:
    to.mkdir(parents=True, exist_ok=True)
    written = failed = 0
    with Progress(console=errors, transient=True) as progress:
        for each in progress.track(found, description="fetching"):
            try:
                write_part10(each, to)
            except (NotHere, KeyholderGone, ValueError) as error:
                errors.print(str(error))
                failed += 1
            else:
                written += 1
    return written, failed


def _releases(gateway: Opened) -> Releases:
    return Releases(gateway.engine, f"{gateway.gateway_id}/cli", parts.now_ms)


def caller_of_commands(configuration: Configuration) -> Caller:
    """Return who `[cli]` says runs commands."""
    said = configuration.cli.assertions
    everything = frozenset({Right.FIND, Right.RETRIEVE, Right.PHI})
    if said is None:
        return Caller(name="cli", may=everything - {Right.PHI})
    return Caller(name="cli", assertions=asserted(said, configuration.gateway.name), may=everything)


def _key(text: str) -> Key:
    keyword, _, value = text.partition("=")
    return Key(keyword, tuple(value.split("\\")) if value else ())


def _text(value: Any) -> str:  # noqa: ANN401 (text, number or several texts)
    text = ", ".join(value) if isinstance(value, tuple) else str(value)
    return "".join(each if each.isprintable() else "?" for each in text)  # no escape sequence of a sender's
