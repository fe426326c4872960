"""`dgis find`: query under the same decision as the doors, here or at a gateway elsewhere."""

from collections.abc import Sequence
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from catalog.callers import Caller, Right
from catalog.query import InvalidQuery, Key, Level, Query, Root
from catalog.release import Asker, Releases
from dgis import fleet, parts
from dgis.cache.index import CacheIndex
from dgis.cache.reach import reach_of
from dgis.cli.common import (
    AsJson,
    Config,
    Home,
    errors,
    fail,
    failures_in_words,
    print_json,
    print_table,
)
from dgis.cli.opening import Opened, opened
from dgis.cli.remote import Account, Credential, Url, connected, only_with_url
from dgis.client import selection as client
from dgis.client.selection import Selection, matches
from dgis.configuration import Configuration
from dgis.identity.peers import asserted
from dgis.keyholder.client import KeyholderClient
from dgis.retriever.outgoing import Sendable
from dgis.retriever.records import Shelf
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

_ELSEWHERE = {
    LevelName.STUDY: client.Level.STUDIES,
    LevelName.SERIES: client.Level.SERIES,
    LevelName.IMAGE: client.Level.INSTANCES,
}


def find_command(
    level: Annotated[LevelName, typer.Argument()],
    key: Annotated[
        list[str], typer.Option("-k", "--key", help="Keyword=Value to match, Keyword to show.")
    ] = [],  # noqa: B006
    limit: Annotated[int, typer.Option(help="Matches at most.")] = 1000,
    url: Url = None,
    credential: Credential = None,
    account: Account = None,
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Find patients, studies, series or images as the caller of [cli] assertions (none: uncleared)."""
    asked = [_key(text) for text in key]
    named = {each.keyword for each in asked}
    if url:
        rows = _found_elsewhere(level, asked, limit, url, credential, account)
    else:
        only_with_url(credential, account)
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


def _found_elsewhere(
    level: LevelName, asked: Sequence[Key], limit: int, url: str, credential: Path | None, account: str | None
) -> list[dict[str, Any]]:
    if level is LevelName.PATIENT:
        fail("DICOMweb has no search for patients; look for studies")
    matched = tuple((key.keyword, ",".join(key.values)) for key in asked if key.values)
    shown = tuple(key.keyword for key in asked)
    with connected(url, credential, account) as transport:
        selection = Selection(transport, _ELSEWHERE[level], matched, (*_COLUMNS[level], *shown))
        return [dict(row) for row in islice(matches(selection), limit)]


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


def _releases(gateway: Opened) -> Releases:
    own = gateway.gateway_id
    return Releases(gateway.engine, f"{own}/cli", parts.now_ms, reach_of(own))


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
    text = ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
    return "".join(each if each.isprintable() else "?" for each in text)  # no escape sequence of a sender's
