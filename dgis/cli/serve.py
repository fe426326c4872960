"""`dgis serve`: the gateway, as one supervised family of processes or as a single role."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from enum import StrEnum
from importlib import import_module
from typing import Annotated

import typer

from dgis.cli.common import Config, Home, console, fail, load_configuration
from dgis.configuration import Configuration, Peer
from dgis.forking import name_process
from dgis.supervisor import Supervisor

_LAST_SPANS_SECONDS = 0.5  # of the ten in which a gateway stops
_QUERY = "-S -k QueryRetrieveLevel=STUDY -k PatientName -k StudyInstanceUID"


class Role(StrEnum):
    """Which part of the gateway this process is."""

    ALL = "all"
    DICOM = "dicom"
    WEB = "web"
    WORKER = "worker"


_RUNNERS = {
    Role.DICOM: "dgis.roles.dicom:run_door",
    Role.WEB: "dgis.roles.web:run_web",
    Role.WORKER: "dgis.roles.worker:run_worker",
}


def serve(
    home: Home = None,
    config: Config = None,
    role: Annotated[Role, typer.Option(help="Run one part alone; several of each may run.")] = Role.ALL,
) -> None:
    """Run the gateway until SIGTERM; drains and stops within 10 seconds."""
    os.umask(0o077)  # what is written under the home is nobody else's to read
    configuration = load_configuration(home, config, role.value)
    ready = None
    if role is Role.ALL:
        arguments = ["--home", str(configuration.gateway.home)]
        arguments += ["--config", str(config.absolute())] if config else []
        supervisor = Supervisor([Role.DICOM.value, Role.WEB.value, Role.WORKER.value], _runner)
        outcome = supervisor.run(lambda listens: _announce(configuration, listens, arguments))
        if isinstance(outcome, int):
            raise typer.Exit(outcome)
        role, ready = Role(outcome.role), outcome.ready
        name_process(f"dgis-{role.value}")
        configuration = load_configuration(home, config, role.value)  # as it is now: this may be a restart
    runner = _runner(role.value)
    from dgis import parts  # noqa: PLC0415 - what a role needs is loaded when a role is run
    from dgis.watch import tracing  # noqa: PLC0415

    try:
        tracing.begin(configuration.traces, configuration.gateway.name, role.value)
        runner(configuration, ready)
    except (parts.StartError, tracing.TracesError) as error:
        fail(str(error))
    finally:
        tracing.end(_LAST_SPANS_SECONDS)


def _runner(role: str) -> Callable[[Configuration, int | None], None]:
    """Load all that a role needs, and return what runs it."""
    module, _, name = _RUNNERS[Role(role)].partition(":")
    runner: Callable[[Configuration, int | None], None] = getattr(import_module(module), name)
    return runner


def _announce(configuration: Configuration, listens: dict[str, object], arguments: Sequence[str]) -> None:
    address = str(listens.get("dicom", ""))
    host, _, port = address.rpartition(":")
    title = configuration.dicom.ae_title
    lines = [
        f"DICOM   {title} on {address}",
        f"web     {listens.get('web', '')}",
        f"home    {configuration.gateway.home}",
        f"nodes   {', '.join(f'{node.name} ({node.kind}, {node.site})' for node in configuration.nodes)}",
        "",
        *_who_may(configuration),
        "",
        "try (dcmtk):",
        f"  echoscu  -aet HOSPITAL_1 -aec {title} {host} {port}",
        f"  storescu -aet HOSPITAL_1 -aec {title} +sd +r {host} {port} FOLDER",
        f"  findscu  -aet HOSPITAL_1 -aec {title} {_QUERY} {host} {port}",
        f"  findscu  -aet RESEARCH_1 -aec {title} {_QUERY} {host} {port}",
        "try (curl):",
        f"  curl {listens.get('web', '')}/readyz",
        f"log in (a browser): {listens.get('web', '')}/login",
        f"  dgis account first --home {configuration.gateway.home}",
        "",
        f"  dgis status --home {configuration.gateway.home}",
    ]
    # soft_wrap: the lines are there to be copied
    console.print("\n".join(["", "DGIS is ready", "", *lines, ""]), markup=False, soft_wrap=True)
    if sys.stdout.isatty():
        _first_account(arguments)


def _first_account(arguments: Sequence[str]) -> None:
    """Make the first account where there is none, and show its passcode on the terminal.

    Never where standard output is a journal or a file: a passcode would be kept there. By another process,
    for this one stays small.
    """
    command = [sys.executable, "-m", "dgis", "account", "first", "--json", *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)  # noqa: S603 (our own interpreter and module, no shell)
    if done.returncode == 0:
        made = json.loads(done.stdout)
        console.print(
            f"FIRST LOGIN  {made['account']}, passcode {made['passcode']}: for one login, at /login; "
            "it is shown this once\n",
            soft_wrap=True,
        )


def _who_may(configuration: Configuration) -> list[str]:
    lines = [_peer_line(peer) for peer in configuration.dicom.peers]
    if configuration.dicom.host.startswith("127.") or configuration.dicom.host == "::1":
        lines.append("LOOPBACK ONLY: no other machine can connect (dicom.host).")
    if "peers" not in configuration.dicom.model_fields_set:
        lines.append("SAMPLE PEERS: write your own [[dicom.peers]] before real images come in.")
    return lines


def _peer_line(peer: Peer) -> str:
    rights = ", ".join(sorted(peer.may)) or "nothing"
    return f"peer    {peer.ae_title} from {', '.join(peer.addresses)}: may {rights}"
