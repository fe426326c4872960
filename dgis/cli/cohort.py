"""`dgis cohort make|verify|fetch`: a set of series written down, so that it can be had again later."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from catalog.callers import Caller, Right
from catalog.query import InvalidQuery, Key, Level, Query, Root
from catalog.release import Asker, Releases
from dgis import parts
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
)
from dgis.cli.fetch import Folder, Form, FormName, fetch_wanted, say
from dgis.cli.opening import opened
from dgis.cli.remote import Account, Credential, Url, connected, only_with_url
from dgis.client.cohort import Cohort, CohortError, Difference, Member, difference, read_cohort
from dgis.client.gathering import GatheredCohort
from dgis.client.selection import Level as Searched
from dgis.client.selection import Selection

app = typer.Typer(
    help="Sets of series that can be had again: pseudonyms, counts, one hash.", no_args_is_help=True
)

File = Annotated[Path, typer.Argument(help="The cohort's file.")]

_STUDIES = 100  # asked for at once

# A cohort holds pseudonyms, whoever makes it.
_NOBODY = Asker(Caller(name="cohort", may=frozenset({Right.FIND, Right.RETRIEVE})))


@app.command()
def make(
    file: File,
    key: Annotated[
        list[str], typer.Option("-k", "--key", help="Keyword=Value to match; repeat for more.")
    ] = [],  # noqa: B006
    url: Url = None,
    credential: Credential = None,
    account: Account = None,
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Write down the series that match now."""
    keys = dict(sorted(text.partition("=")[::2] for text in key))
    with failures_in_words(OSError, InvalidQuery):
        if url:
            with connected(url, credential, account) as transport:
                cohort = Selection(transport, Searched.SERIES, tuple(keys.items())).cohort().cohort
        else:
            only_with_url(credential, account)
            members = _here(home, config, tuple(Key(name, (value,)) for name, value in keys.items()))
            edition = datetime.now(UTC).isoformat(timespec="seconds")
            cohort = Cohort(tuple(members), {"level": "series", "keys": keys}, edition)
        if not cohort.members:
            fail("no series matches")
        cohort.save(file)
    said = cohort.document
    if as_json:
        print_json({name: said[name] for name in ("hash", "count", "total")} | {"file": str(file)})
    else:
        console.print(f"{said['count']} series, {said['total']} instances, {said['hash']}", soft_wrap=True)


@app.command()
def verify(
    file: File,
    url: Url = None,
    credential: Credential = None,
    account: Account = None,
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Say what of a cohort is missing or changed since; exit code 1 where something is."""
    with failures_in_words(OSError, CohortError):
        cohort = read_cohort(file)
        if url:
            with connected(url, credential, account) as transport:
                found = GatheredCohort(transport, cohort).verify()
        else:
            only_with_url(credential, account)
            found = _difference_here(cohort, home, config)
    if as_json:
        print_json(
            {
                "hash": cohort.hash,
                "same": not found,
                "missing": [member.series for member in found.missing],
                "changed": [member.series for member, _now in found.changed],
            }
        )
    else:
        for words in found.words or (f"as it was: {cohort.hash}",):
            console.print(words, soft_wrap=True)
    if found:
        raise typer.Exit(FAILED)


@app.command()
def fetch(
    file: File,
    to: Folder,
    url: Annotated[str, typer.Option("--url", help="The gateway to fetch from, by the URL of its web door.")],
    form: Form = FormName.DICOM,
    workers: Annotated[int, typer.Option(min=1, max=32, help="Series at once.")] = 4,
    credential: Credential = None,
    account: Account = None,
    as_json: AsJson = False,
) -> None:
    """Fetch all series of a cohort; a second run fetches what is missing."""
    with failures_in_words(OSError, CohortError):
        cohort = read_cohort(file)
        with connected(url, credential, account) as transport:
            found = GatheredCohort(transport, cohort).verify()
            for words in found.words:
                errors.print(words, soft_wrap=True)
            gone = {member.series for member in found.missing}
            wanted = [member.wanted for member in cohort.members if member.series not in gone]
            said = fetch_wanted(transport, wanted, to, form, workers)
    said["failed"] += len(gone)
    say(said, as_json=as_json)


def _difference_here(cohort: Cohort, home: Path | None, config: Path | None) -> Difference:
    studies = tuple(dict.fromkeys(member.study for member in cohort.members))
    now: dict[str, Member] = {}
    for start in range(0, len(studies), _STUDIES):
        some = Key("StudyInstanceUID", studies[start : start + _STUDIES])
        now |= {member.series: member for member in _here(home, config, (some,))}
    return difference(cohort, now)


def _here(home: Path | None, config: Path | None, keys: Sequence[Key]) -> list[Member]:
    """Return the series of this gateway that match, as the uncleared see them."""
    named = {key.keyword for key in keys}
    unique = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    asked = (*keys, *(Key(keyword) for keyword in unique if keyword not in named))
    query = Query(Root.PATIENT, Level.IMAGE, asked, relational=True)
    series: dict[tuple[str, str], list[str]] = {}
    with opened(home, config) as gateway:
        releases = Releases(gateway.engine, f"{gateway.gateway_id}/cli", parts.now_ms)
        for match in releases.find(query, _NOBODY):
            study, of, uid = (str(match.values[keyword]) for keyword in unique)
            series.setdefault((study, of), []).append(uid)
    return sorted(Member.of(study, of, uids) for (study, of), uids in series.items())
