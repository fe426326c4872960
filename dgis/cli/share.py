"""`dgis grant share|shares|unshare`: one study for whoever bears a token."""

from typing import Annotated

import typer

from catalog.credentials import shares as kept
from catalog.credentials.shares import Wanted
from catalog.grants import What
from dgis.cli.common import AsJson, Config, Home, console, moment, print_json, print_table
from dgis.cli.granting import By, OfPatient, OfSeries, OfStudy, Reason, desk, look, moment_of
from dgis.cli.rights import USUAL, May, rights
from dgis.granting import sharing
from dgis.granting.words import rights_words


def share(
    until: Annotated[str, typer.Option("--until", help="Last day, or the moment it ends.")],
    reason: Reason,
    may: May = list(USUAL),  # noqa: B006 (typer reads it as what the help shows)
    patient: OfPatient = None,
    study: OfStudy = None,
    series: OfSeries = None,
    by: By = "",
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Let whoever bears a token see one patient, study or series, and print the token, this once."""
    with desk(home, config, by) as here:
        key = None if patient is None else here.directory.patient(patient)
        what = What(patient_key=key)
        if series is not None:
            what = here.directory.series(series, key)
        elif study is not None:
            what = here.directory.study(study, key)
        until_ms = moment_of(until, end=True)
        wanted = Wanted(what, rights(may), until_ms, reason)
        made, token = sharing.share(here.connection, here.actor, wanted)
    if as_json:
        print_json({"id": made.id, "token": token, "until_ms": made.until_ms})
    else:
        console.print(f"{token}\n{made.id} until {moment(made.until_ms)}", soft_wrap=True)


def shares(home: Home = None, config: Config = None, as_json: AsJson = False) -> None:
    """List the shares, never what is presented; what they open says `dgis grant list`."""
    with look(home, config) as (connection, _directory):
        found = list(kept.every(connection))
    if as_json:
        rows = [
            {
                "id": one.id,
                "may": sorted(right.value for right in one.may),
                "by": one.maker,
                "made_ms": one.made_ms,
                "until_ms": one.until_ms,
            }
            for one in found
        ]
        print_json(rows)
        return
    columns = ("id", "may", "by", "made", "until")
    shown = (
        (one.id, rights_words(one.may), one.maker, moment(one.made_ms), moment(one.until_ms)) for one in found
    )
    print_table(columns, shown)


def unshare(
    share_id: Annotated[str, typer.Argument(metavar="ID")],
    by: By = "",
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Take a share back; the next request with its token is refused."""
    with desk(home, config, by) as here:
        sharing.withdraw(here.connection, here.actor, share_id)
    if as_json:
        print_json({"withdrawn": share_id})
    else:
        console.print(f"withdrew {share_id}")
