"""`dgis hold add|list|remove`: what retention does not delete, whatever its rules say."""

from typing import Annotated

import typer

from catalog.audit import trail
from catalog.audit.values import Event, Happening, Json
from catalog.grants import What
from dgis.cli.common import AsJson, Config, Home, console, fail, moment, print_json, print_table
from dgis.cli.granting import PATIENT_HELP, By, Desk, desk, look
from dgis.retention import holds
from dgis.retention.holds import Held

app = typer.Typer(help="Legal holds: they win over every rule of retention.", no_args_is_help=True)


@app.command()
def add(
    patient: Annotated[str | None, typer.Option(help=PATIENT_HELP, show_default=False)] = None,
    study: Annotated[str | None, typer.Option(help="Study Instance UID, original or pseudonym.")] = None,
    series: Annotated[str | None, typer.Option(help="Series Instance UID, original or pseudonym.")] = None,
    reason: Annotated[str, typer.Option(help="Why; let it name no patient.")] = "",
    by: By = "",
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Put a patient, a study or a series on hold."""
    if (study is not None and series is not None) or (patient is study is series is None):
        raise typer.BadParameter("say what is held: --patient, --study or --series")
    if not reason:
        raise typer.BadParameter("say why: --reason")
    with desk(home, config, by) as here:
        what = _what(here, patient, study, series)
        assert what.patient_key is not None, "it was looked up"
        number = holds.add(here.connection, what, reason, here.actor.words, here.actor.now_ms)
        _record(here, "hold", number, what.patient_key)
    if as_json:
        print_json(
            {"id": number, "patient": what.patient_key, "study": what.study_key, "series": what.series_key}
        )
    else:
        console.print(f"hold {number}")


@app.command()
def remove(
    number: Annotated[int, typer.Argument(help="As `dgis hold list` prints it.")],
    by: By = "",
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Take a hold back; the rules of retention count again."""
    with desk(home, config, by) as here:
        ended = holds.end(here.connection, number)
        if ended is None:
            fail("there is no hold of that number (dgis hold list)")
        _record(here, "hold ended", number, ended.patient_key)
    if as_json:
        print_json({"removed": number})
    else:
        console.print(f"hold {number} removed")


@app.command("list")
def list_holds(home: Home = None, config: Config = None, as_json: AsJson = False) -> None:
    """List what is on hold, by pseudonym."""
    with look(home, config) as (connection, _directory):
        found = holds.every(connection)
    if as_json:
        print_json([{name: getattr(each, name) for name in Held.__slots__} for each in found])
        return
    print_table(("id", "patient", "study", "series", "since", "by", "reason"), map(_row, found))


def _row(each: Held) -> tuple[str, ...]:
    keys = (each.patient_key or "everything", each.study_key or "", each.series_key or "")
    return (str(each.id), *keys, moment(each.at_ms), each.held_by, each.reason)


def _what(here: Desk, patient: str | None, study: str | None, series: str | None) -> What:
    key = here.directory.patient(patient) if patient is not None else None
    if series is not None:
        return here.directory.series(series, key)
    if study is not None:
        return here.directory.study(study, key)
    return What(patient_key=key)


def _record(here: Desk, what: str, number: int, patient_key: str) -> None:
    detail: dict[str, Json] = {"what": what, "hold": number}
    happening = Happening(Event.CONFIGURATION, here.actor.words, patients=(patient_key,), detail=detail)
    trail.append(here.connection, here.actor.writer, [happening], here.actor.now_ms)
