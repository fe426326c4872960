"""`dgis patient link|unlink|links`: which patients are one person, said by somebody and recorded."""

from typing import Annotated

import typer

from catalog import links
from dgis.cli.common import AsJson, Config, Home, console, moment, print_json, print_table
from dgis.cli.granting import PATIENT_HELP, By, desk, look
from dgis.granting import acts

app = typer.Typer(
    help="Which patients are one person. A link opens nothing; refusals of consent follow it.",
    no_args_is_help=True,
)

Patient = Annotated[str, typer.Argument(help=PATIENT_HELP)]
Reason = Annotated[str, typer.Option(help="How it is known; let it name no patient.")]


@app.command()
def link(
    one: Patient,
    other: Patient,
    reason: Reason,
    by: By = "",
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Say that two patients are one person."""
    with desk(home, config, by) as here:
        keys = here.directory.patient(one), here.directory.patient(other)
        acts.join(here.connection, here.actor, *keys, reason)
        person = sorted({keys[0], *links.linked_with(here.connection, keys[0])})
    if as_json:
        print_json({"linked": sorted(keys), "person": person})
    else:
        console.print(f"linked: {' '.join(person)} are one person", soft_wrap=True)


@app.command()
def unlink(
    one: Patient,
    other: Patient,
    reason: Reason,
    by: By = "",
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Take a link back; what was refused under one of the two no longer covers the other."""
    with desk(home, config, by) as here:
        keys = here.directory.patient(one), here.directory.patient(other)
        acts.part(here.connection, here.actor, *keys, reason)
    if as_json:
        print_json({"unlinked": sorted(keys)})
    else:
        console.print(f"unlinked: {' '.join(keys)}", soft_wrap=True)


@app.command("links")
def list_links(
    patient: Annotated[str | None, typer.Argument(help=PATIENT_HELP, show_default=False)] = None,
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """List the links in force: all, or those by which a patient is one person with others."""
    with look(home, config) as (connection, directory):
        found = list(links.every(connection))
        if patient is not None:
            key = directory.patient(patient)
            person = {key, *links.linked_with(connection, key)}
            found = [each for each in found if each.first_key in person]
    if as_json:
        names = ("first_key", "second_key", "linked_ms", "linked_by", "reason")
        print_json([{name: getattr(each, name) for name in names} for each in found])
        return
    rows = (
        (each.first_key, each.second_key, moment(each.linked_ms), each.linked_by, each.reason)
        for each in found
    )
    print_table(("patient", "patient", "when", "by", "reason"), rows)
