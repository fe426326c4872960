"""`dgis grant list|add|revoke|contributors|share|shares|unshare`: who may do what with what, until when."""

import json
from collections.abc import Sequence
from typing import Annotated

import typer
from sqlalchemy import select

from catalog import grants
from catalog.grants import Grant, What, Who
from catalog.tables import contributor
from dgis import parts
from dgis.cli.common import AsJson, Config, Home, console, print_json, print_table
from dgis.cli.granting import (
    PATIENT_HELP,
    By,
    Desk,
    OfPatient,
    OfSeries,
    OfStudy,
    Reason,
    Unseen,
    desk,
    look,
    moment_of,
)
from dgis.cli.opening import opened
from dgis.cli.rights import May, rights
from dgis.cli.share import share, shares, unshare
from dgis.granting import acts
from dgis.granting.words import (
    asserted_words,
    grant_json,
    grant_words,
    rights_words,
    state_words,
    term_words,
    what_words,
    who_words,
)
from dgis.identity.wire import from_json

app = typer.Typer(help="Who may do what with what, until when, by whom.", no_args_is_help=True)
for _command in (share, shares, unshare):
    app.command()(_command)

Field = Annotated[str | None, typer.Option(help="Who: what the caller must assert.", show_default=False)]


@app.command("list")
def list_grants(
    patient: Annotated[
        str | None, typer.Option(help=f"Only what names this patient. {PATIENT_HELP}", show_default=False)
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also what has ended.")] = False,
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """List the grants, oldest first."""
    now_ms = parts.now_ms()
    with look(home, config) as (connection, directory):
        key = None if patient is None else directory.patient(patient)
        found = [
            each
            for each in grants.every(connection)
            if (everything or each.not_after_ms > now_ms) and key in {None, each.what.patient_key}
        ]
    if as_json:
        print_json([grant_json(each, now_ms) for each in found])
        return
    columns = ("id", "state", "effect", "who", "may", "what", "when", "by", "reason")
    print_table(columns, (_row(each, now_ms) for each in found))


@app.command()
def add(
    may: May,
    reason: Reason,
    issuer: Field = None,
    user: Field = None,
    department: Field = None,
    institution: Field = None,
    role: Field = None,
    purpose: Field = None,
    anyone: Annotated[bool, typer.Option("--anyone", help="Who: every admitted caller.")] = False,
    patient: OfPatient = None,
    study: OfStudy = None,
    series: OfSeries = None,
    contributor_id: Annotated[
        int | None, typer.Option("--contributor", help="What: of one contributor (grant contributors).")
    ] = None,
    facility: Annotated[str | None, typer.Option(help="What: all of a facility.")] = None,
    everything: Annotated[bool, typer.Option("--everything", help="What: all there is.")] = False,
    deny: Annotated[
        bool, typer.Option("--deny", help="Deny it; a denial wins over what is allowed.")
    ] = False,
    linked: Annotated[
        bool,
        typer.Option(
            "--linked", help="Also the patients linked with it: allowed, those linked now; denied, always."
        ),
    ] = False,
    begins: Annotated[str | None, typer.Option("--from", help="First day or moment (ISO 8601).")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Last day, or the moment it ends.")] = None,
    by: By = "",
    unseen: Unseen = False,
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Give (or deny) rights to whoever asserts all that is named, on what is named."""
    who = Who(issuer, user, department, institution, role, purpose)
    if anyone is bool(who.facts):
        raise typer.BadParameter("say who: --user, --institution, ... or --anyone")
    named = (patient, study, series, contributor_id, facility)
    if everything is any(each is not None for each in named):
        raise typer.BadParameter(
            "say what: --patient, --study, --series, --contributor, --facility or --everything"
        )
    term, allowed = (moment_of(begins, end=False), moment_of(until, end=True)), rights(may)
    with desk(home, config, by) as here:
        what = _what(here, patient, (study, series), contributor_id, facility, unseen=unseen)
        wanted = Grant(who, what, allowed, not deny, *term, reason=reason)
        given = acts.give(here.connection, here.actor, wanted, linked=linked)
    _say("granted", given, here.actor.now_ms, as_json=as_json)


@app.command()
def revoke(
    grant_id: Annotated[int, typer.Argument(metavar="ID")],
    by: By = "",
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """End a grant now; one that has not begun is taken out."""
    with desk(home, config, by) as here:
        was = acts.revoke(here.connection, here.actor, grant_id)
    if as_json:
        print_json({"revoked": grant_id})
    else:
        console.print(f"revoked {grant_id}: {grant_words(was)}", soft_wrap=True)


@app.command()
def contributors(home: Home = None, config: Config = None, as_json: AsJson = False) -> None:
    """List who contributed: facility and what was asserted, with the number that --contributor takes."""
    columns = contributor.c
    with opened(home, config) as gateway, gateway.reading() as connection:
        every = select(columns.id, columns.facility, columns.assertions).order_by(columns.id)
        rows = [(row.id, row.facility, json.loads(row.assertions)) for row in connection.execute(every)]
    if as_json:
        print_json([dict(zip(("id", "facility", "assertions"), row, strict=True)) for row in rows])
        return
    shown = ((str(row[0]), row[1], asserted_words(from_json(row[2]))) for row in rows)
    print_table(("id", "facility", "asserted"), shown)


def _what(
    here: Desk,
    patient: str | None,
    below: tuple[str | None, str | None],
    contributor_id: int | None,
    facility: str | None,
    *,
    unseen: bool,
) -> What:
    study, series = below
    by = None if contributor_id is None else here.directory.contributor(contributor_id)
    key = None if patient is None else here.directory.patient(patient, unseen=unseen)
    where = None if facility is None else here.directory.facility(facility)
    if series is not None:
        found = here.directory.series(series, key)
        if study is not None and found.study_key != here.directory.study(study, key).study_key:
            raise acts.NotDone("that series is not of that study")
    else:
        found = What(patient_key=key) if study is None else here.directory.study(study, key)
    return What(where, by, found.patient_key, found.study_key, found.series_key)


def _row(each: Grant, now_ms: int) -> tuple[str, ...]:
    effect = "allow" if each.allow else "deny"
    told = (str(each.id), state_words(each, now_ms), effect, who_words(each.who), rights_words(each.may))
    return (*told, what_words(each.what), term_words(each), each.granted_by, each.reason)


def _say(done: str, given: Sequence[Grant], now_ms: int, *, as_json: bool) -> None:
    if as_json:
        print_json([grant_json(each, now_ms) for each in given])
        return
    for each in given:
        console.print(f"{done} {each.id}: {grant_words(each)}", soft_wrap=True)
