"""`dgis doctor`: what is wrong on this machine, and what to do about it."""

import os
import resource
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import typer

from dgis import buckets, database, fleet, parts
from dgis.cache import locks
from dgis.cli import commitments, machine
from dgis.cli.common import FAILED, AsJson, Config, Home, console, load_configuration, print_json
from dgis.cli.machine import Finding
from dgis.cli.running import running_roles
from dgis.configuration import Configuration, FolderNode, S3Node
from dgis.identity import kerberos
from dgis.repository.line import LineError
from dgis.repository.opening import connect
from storage_nodes.addresses import Kind
from storage_nodes.s3_examine import examine, is_shut

_FEW_DESCRIPTORS = 1024


def doctor(home: Home = None, config: Config = None, as_json: AsJson = False) -> None:
    """Look at home, disk, keys, clock, database, nodes, ports, certificates; exit 1 where one is wrong."""
    configuration = load_configuration(home, config)
    found = [finding for look in _LOOKS for finding in look(configuration)]
    if as_json:
        print_json([asdict(finding) for finding in found])
    else:
        for finding in found:
            mark = "ok     " if finding.well else "TROUBLE"
            advice = f": {finding.advice}" if finding.advice and not finding.well else ""
            console.print(f"{mark} {finding.what}{advice}", markup=False, soft_wrap=True)
    if not all(finding.well for finding in found):
        raise typer.Exit(FAILED)


def _home(configuration: Configuration) -> Iterator[Finding]:
    home = configuration.gateway.home
    parent = next((each for each in (home, *home.parents) if each.exists()), home)
    yield Finding(
        f"home {home} can be written", os.access(parent, os.W_OK), f"give the gateway's user {parent}"
    )
    free = shutil.disk_usage(parent).free
    floor = configuration.cache.free_floor_bytes
    yield Finding(
        f"{free >> 20} MiB free under the home",
        free > 2 * floor,
        "images are refused below cache.free_floor_bytes; make room or move gateway.home",
    )
    try:
        locks.require()
    except OSError as error:
        yield Finding("the system has the file locks that the cache stands on", well=False, advice=str(error))
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    yield Finding(
        f"{limit} open files allowed",
        limit >= _FEW_DESCRIPTORS,
        "raise it: ulimit -n 4096, LimitNOFILE= in systemd",
    )


def _database(configuration: Configuration) -> Iterator[Finding]:
    url = database.database_url(configuration)
    if url.get_backend_name() == "sqlite" and url.database and not Path(url.database).exists():
        yield Finding("the database is made at the first start", well=True)
        return
    try:
        parts.open_database(configuration).dispose()
    except parts.StartError as error:
        yield Finding("the database answers", well=False, advice=str(error))
    else:
        yield Finding("the database answers and its schema is current", well=True)


def _keys(configuration: Configuration) -> Iterator[Finding]:
    if parts.first_start_makes_keys(configuration):
        yield Finding("the keys of the embedded default are made at the first start", well=True)
        return
    try:
        parts.open_keys(configuration)
    except parts.StartError as error:
        yield Finding("the keys can be opened", well=False, advice=str(error))
    else:
        yield Finding("the keys can be opened", well=True)


def _nodes(configuration: Configuration) -> Iterator[Finding]:
    own = fleet.open_fleet(configuration)
    own.probe()
    known = fleet.prepared(configuration)
    for entry in configuration.nodes:
        if isinstance(entry, FolderNode) and entry.name not in known:
            yield Finding(f"the folder of node {entry.name} is made at the next start", well=True)
            continue
        if isinstance(entry, S3Node):
            yield from _buckets(entry)
            continue
        well = all(own.health.is_well(kind, entry.name) for kind in Kind)
        yield Finding(
            f"node {entry.name} answers", well, f"look at {entry.path}: mounted, readable, writable?"
        )


def _buckets(entry: S3Node) -> Iterator[Finding]:
    records, sealed = buckets.s3_locations(entry)
    for location in (records, sealed):
        for seen in examine(location, entry.name):
            yield Finding(f"node {entry.name}: {seen.what}", seen.well, seen.advice)
    if sealed.access_key != records.access_key:
        crossed = replace(records, bucket=sealed.bucket)
        yield Finding(
            f"node {entry.name}: the credentials of records do not open the sealed companions",
            is_shut(crossed, entry.name),
            "take the right away from that access key, in the policy of the bucket",
        )


def _ports(configuration: Configuration) -> Iterator[Finding]:
    dicom, web = configuration.dicom, configuration.web
    running = running_roles(configuration.gateway.home)
    for setting, host, port in (
        ("dicom.port", dicom.host, dicom.port),
        ("dicom.tls_port", dicom.host, dicom.tls_port),
        ("web.port", web.host, web.port),
    ):
        if port is not None:
            yield _port(setting, host, port, ours=setting.partition(".")[0] in running)


def _port(setting: str, host: str, port: int, *, ours: bool) -> Finding:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        advice = f"{error.strerror}; choose another {setting}, or end what has it (ss -ltnp)"
        return Finding(f"port {port} on {host} is free or ours", ours, advice)
    return Finding(f"port {port} on {host} is free", well=True)


def _tickets(configuration: Configuration) -> Iterator[Finding]:
    keytab = configuration.identity.keytab_file
    if keytab is None:
        return
    yield Finding(
        "the library for Kerberos is there",
        kerberos.library_is_there(),
        "tickets are refused: pip install 'dgis[kerberos]' (it builds with libkrb5-dev)",
    )
    yield Finding(
        f"the keytab {keytab} can be read",
        os.access(keytab, os.R_OK),
        "make it with ktadd, and let the gateway's user alone read it (identity.keytab_file)",
    )


def _repository(configuration: Configuration) -> Iterator[Finding]:
    address = configuration.audit.address
    if address is None:
        return
    try:
        connect(configuration, address).close()
    except LineError as error:
        yield Finding(f"the audit repository {address} takes messages", well=False, advice=str(error))
    else:
        yield Finding(f"the audit repository {address} takes messages", well=True)


_LOOKS: tuple[Callable[[Configuration], Iterator[Finding]], ...] = (
    _home,
    _database,
    _keys,
    _nodes,
    _ports,
    _tickets,
    _repository,
    commitments.look,
    *machine.LOOKS,
)
