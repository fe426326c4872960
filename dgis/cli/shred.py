"""`dgis keys shred`: the end of a patient's originals, here and in every replica."""

import os
import time
from dataclasses import asdict
from typing import Annotated

import sqlalchemy as sa
import typer
from rich.progress import Progress, SpinnerColumn, TextColumn

from catalog.audit.values import Event, Json
from deid.keys.generations import generation_of
from deid.keys.values import KeysError
from deid.pseudonyms import Pseudonyms
from dgis import failpoints, parts
from dgis.cli.common import FAILED, AsJson, Config, Home, console, errors, fail, failures_in_words, print_json
from dgis.cli.opening import Opened, opened
from dgis.erasure import intents
from dgis.erasure.eraser import Eraser, Means
from dgis.erasure.report import Report, plan_words
from dgis.erasure.subject import (
    Inventory,
    NobodyMeant,
    Subject,
    by_identity,
    by_pseudonym,
    inventory,
    is_back,
    known_gateways,
    subject,
)
from dgis.erasure.values import Erasure, Round
from dgis.keyholder.pseudonyms import pseudonymiser
from dgis.trail.acts import act, record

_LOOK_SECONDS = 0.2


def shred(
    patient: Annotated[str, typer.Option("--patient", help="The original Patient ID.")] = "",
    issuer: Annotated[
        str | None, typer.Option(help="Who issued that ID; none: the facility itself.", show_default=False)
    ] = None,
    pseudonym: Annotated[str, typer.Option(help="The Patient ID as it is published.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    wait: Annotated[float, typer.Option(help="Seconds to wait for what is in use.")] = 60.0,
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Destroy a patient's key and originals for ever; the de-identified images stay.

    Says what was destroyed, what is pending and who still holds what. Exit code 1 while something is pending:
    the workers go on with it, and the same command says how far it is.
    """
    if bool(patient) == bool(pseudonym) or (issuer is not None and not patient):
        raise typer.BadParameter("say who: --patient ID [--issuer ISSUER], or --pseudonym PSEUDONYM")
    told = (NobodyMeant, KeysError, parts.StartError)
    with failures_in_words(*told), opened(home, config) as gateway:
        means = _means(gateway)
        with gateway.reading() as connection:
            key = (
                by_identity(connection, means.names, patient, issuer)
                if patient
                else by_pseudonym(connection, pseudonym)
            )
            who = subject(connection, means.keys, key)
            found = inventory(connection, key)
        if dry_run:
            _say_plan(gateway, who, found, as_json=as_json)
            return
        _confirm(gateway, who, found, yes=yes)
        report = _erase(gateway, means, who, wait)
    _say(report, as_json=as_json)
    if not report.complete:
        raise typer.Exit(FAILED)


def _means(gateway: Opened) -> Means:
    secrets, keys = parts.open_keys(gateway.configuration)
    names = pseudonymiser(Pseudonyms(secrets, gateway.configuration.gateway.facility))
    return Means(gateway.engine, keys, names, gateway.log.files, gateway.gateway_id, parts.now_ms)


def _confirm(gateway: Opened, who: Subject, found: Inventory, *, yes: bool) -> None:
    if yes:
        return
    for line in _plan(gateway, who, found):
        errors.print(line, markup=False, soft_wrap=True)
    asked = f"This cannot be undone. Type {who.key_name[:8]} to go on"
    if typer.prompt(asked, default="", show_default=False, err=True) != who.key_name[:8]:
        fail("nothing was changed")


def _erase(gateway: Opened, means: Means, who: Subject, wait_seconds: float) -> Report:
    erasure = _asked(gateway, who)
    failpoints.hit("erase.asked")
    eraser, last = Eraser(means), Round()
    deadline = time.monotonic() + wait_seconds
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), console=errors, transient=True) as shown:
        shown.add_task("destroying", total=None)
        while True:
            last = eraser.run_once()
            report = _report(gateway, erasure, last)
            if report.done_here or time.monotonic() > deadline:
                return report
            time.sleep(_LOOK_SECONDS)


def _asked(gateway: Opened, who: Subject) -> Erasure:
    """Ask for it, or take up what was asked for before where nothing came since."""
    with gateway.engine.begin() as connection:
        earlier = intents.of_patient(connection, who.patient_key)
        if not earlier or is_back(connection, who.patient_key):
            words = f"uid {os.getuid()} at {gateway.gateway_id}"
            _record(gateway, connection, who)
            return intents.ask(connection, who.patient_key, who.key_name, words, parts.now_ms())
        last = earlier[-1]
        if not intents.unfinished_gateways(connection, last, known_gateways(connection)):
            _record(gateway, connection, who)
            intents.ask_again(connection, last, parts.now_ms())
        return last


def _record(gateway: Opened, connection: sa.Connection, who: Subject) -> None:
    detail: dict[str, Json] = {"key": who.key_name}
    happening = act(gateway.gateway_id, Event.DELETE, "shred", detail, who.patient_key)
    record(connection, gateway.gateway_id, happening)


def _report(gateway: Opened, erasure: Erasure, last: Round) -> Report:
    with gateway.reading() as connection:
        now = intents.of_key(connection, erasure.key_name)
        assert now is not None, "an erasure is never forgotten"
        here = gateway.gateway_id
        known = {here, *known_gateways(connection)}
        unfinished = intents.unfinished_gateways(connection, now, known)
    return Report(
        erasure=now,
        last=last,
        gateways_pending=tuple(each for each in unfinished if each != here),
        done_here=here not in unfinished,
        server=gateway.engine.dialect.name != "sqlite",
        keep_days=gateway.configuration.backup.keep_days,
        now_ms=parts.now_ms(),
    )


def _plan(gateway: Opened, who: Subject, found: Inventory) -> list[str]:
    stores = len(gateway.configuration.keys.stores)
    return list(plan_words(found, generation_of(who.key_name), stores))


def _say_plan(gateway: Opened, who: Subject, found: Inventory, *, as_json: bool) -> None:
    if as_json:
        print_json({"key": who.key_name, **asdict(found)})
        return
    for line in _plan(gateway, who, found):
        console.print(line, markup=False, soft_wrap=True)


def _say(report: Report, *, as_json: bool) -> None:
    if as_json:
        print_json(report.as_json())
        return
    for heading, lines in (
        ("destroyed", report.destroyed()),
        ("pending", report.pending()),
        ("still holds identity", report.still()),
    ):
        for number, line in enumerate(lines):
            console.print(f"{heading if not number else '':22}{line}", markup=False, soft_wrap=True)
