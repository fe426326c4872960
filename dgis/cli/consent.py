"""`dgis consent refuse|withdraw-refusal|list`: what a patient does not allow, whoever else does."""

from typing import Annotated

import typer

from catalog import grants, links
from catalog.grants import Grant
from dgis import parts
from dgis.cli.common import AsJson, Config, Home, console, moment, print_json, print_table
from dgis.cli.granting import PATIENT_HELP, By, Unseen, desk, look
from dgis.granting import acts
from dgis.granting.words import grant_json, rights_words, state_words

app = typer.Typer(
    help="What patients refuse. It wins over every grant, and covers whoever a patient is linked with.",
    no_args_is_help=True,
)

Patient = Annotated[str, typer.Argument(help=PATIENT_HELP)]


@app.command()
def refuse(
    patient: Patient,
    everything: Annotated[
        bool, typer.Option("--all", help="Nor is the de-identified form to be found, retrieved or shared.")
    ] = False,
    reason: Annotated[str, typer.Option(help="`dgis explain` shows it; let it name no patient.")] = (
        "consent refused"
    ),
    by: By = "",
    unseen: Unseen = False,
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Close a patient's originals to everybody."""
    with desk(home, config, by) as here:
        key = here.directory.patient(patient, unseen=unseen)
        given = acts.refuse(here.connection, here.actor, key, reason, everything=everything)
        covered = sorted({key, *links.linked_with(here.connection, key)})
    if as_json:
        print_json({**grant_json(given, here.actor.now_ms), "covers": covered})
    else:
        console.print(f"refused {given.id}: {rights_words(given.may)} of {' '.join(covered)}", soft_wrap=True)


@app.command("withdraw-refusal")
def withdraw_refusal(
    patient: Patient, by: By = "", home: Home = None, config: Config = None, as_json: AsJson = False
) -> None:
    """Take back what a patient refused; grants decide again."""
    with desk(home, config, by) as here:
        key = here.directory.patient(patient)
        ended = acts.withdraw_refusal(here.connection, here.actor, key)
    if as_json:
        print_json({"withdrawn": [each.id for each in ended]})
    else:
        console.print(f"withdrawn: {' '.join(str(each.id) for each in ended)}")


@app.command("list")
def list_refusals(
    patient: Annotated[str | None, typer.Argument(help=PATIENT_HELP, show_default=False)] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also what was withdrawn.")] = False,
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """List what is refused: all of it, or what covers one patient, through links too."""
    now_ms = parts.now_ms()
    with look(home, config) as (connection, directory):
        if patient is None:
            found = [each for each in grants.every(connection) if acts.is_refusal(each)]
        else:
            key = directory.patient(patient)
            person = sorted({key, *links.linked_with(connection, key)})
            found = [each for one in person for each in acts.refusals(connection, one)]
    shown = [each for each in found if everything or each.not_after_ms > now_ms]
    if as_json:
        print_json([grant_json(each, now_ms) for each in shown])
        return
    print_table(
        ("id", "state", "patient", "refused", "since", "by", "reason"), (_row(each, now_ms) for each in shown)
    )


def _row(each: Grant, now_ms: int) -> tuple[str, ...]:
    told = (str(each.id), state_words(each, now_ms), each.what.patient_key or "", rights_words(each.may))
    return (*told, moment(each.not_before_ms), each.granted_by, each.reason)
