"""`dgis deid`: files to de-identified files and sealed originals, and back; no gateway is needed."""

import json
import os
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from deid.files import (
    CannotWrite,
    Fate,
    Job,
    Occupied,
    RestoreJob,
    SealsRefused,
    Tree,
    deidentify_tree,
    restore_tree,
)
from deid.files.run import Progress as Told
from dgis import logs
from dgis.cli import deid_report
from dgis.cli.common import FAILED, AsJson, Config, console, errors, fail, print_json
from dgis.cli.deid_site import check, check_restore, configuration_of, decoder, site_of, usage

_Home = Annotated[
    Path | None,
    typer.Option(
        "--home", help="Of a gateway, for its facility, options, rules and secret.", show_default=False
    ),
]


def deid(
    out: Annotated[Path, typer.Option("--out", help="Folder for what is made; nothing in it is replaced.")],
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE_OR_DIR",
            help="What to de-identify; with --restore: what was de-identified, for its pixels.",
            show_default=False,
        ),
    ] = None,
    secret_file: Annotated[
        Path | None,
        typer.Option(
            "--secret-file",
            help="Site secret, 64 hex digits, mode 0600: the same makes the same pseudonyms, and it opens "
            "what is sealed. Lost: sealed originals are gone. Keep copies, not beside the sealed folder.",
            show_default=False,
        ),
    ] = None,
    init_secret: Annotated[
        bool, typer.Option("--init-secret", help="Make the secret file if there is none.")
    ] = False,
    sealed: Annotated[
        Path | None,
        typer.Option(
            "--sealed",
            help="Folder where the originals are kept, encrypted. Their seals refer to the pixels in --out: "
            "restoring needs both folders and the secret.",
            show_default=False,
        ),
    ] = None,
    seal_pixels: Annotated[
        bool, typer.Option("--seal-pixels", help="Seal the pixels too: restoring then needs no --out folder.")
    ] = False,
    restore: Annotated[
        bool, typer.Option("--restore", help="Give the originals of --sealed back, byte for byte.")
    ] = False,
    options: Annotated[
        list[str] | None,
        typer.Option(
            "--options",
            help="Options of the profile, with commas (docs/conformance.md) [default: modified-dates].",
            show_default=False,
        ),
    ] = None,
    facility: Annotated[
        str | None,
        typer.Option(
            "--facility",
            help="Whose patients these are: part of every pseudonym [default: none, or the configuration's].",
            show_default=False,
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", help="File for the whole report, JSON.", show_default=False),
    ] = None,
    name_files: Annotated[
        bool, typer.Option("--name-files", help="Name input files in the report: they may name patients.")
    ] = False,
    jobs: Annotated[int, typer.Option("--jobs", min=0, help="Processes; 0: one a core.")] = 0,
    home: _Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """De-identify a DICOM file, or all of a folder, into folders named by pseudonyms.

    With --sealed the originals can be had back with --restore, byte for byte; without it nothing of them is
    kept. No gateway, home or configuration is needed. What may show identity is withheld, what is no DICOM
    file and every DICOMDIR is left out; neither is a failure. Exit code 1: a file could not be read, is in
    conflict with another, or something else lies at its place; 2: wrong usage.
    """
    _in_worker()
    configuration = configuration_of(home, config)
    if secret_file is None and configuration is not None:
        secret_file = configuration.keys.site_secret_file
    processes = jobs or _cores()
    if restore:
        place = check_restore(source, out, sealed, secret_file, init_secret=init_secret)
        site = site_of(secret_file, None, facility, configuration, sealed=True, init_secret=False)
        _restore(RestoreJob(place, out, site.secrets, source), processes, report, as_json=as_json)
        return
    if source is None or not source.exists():
        usage("FILE_OR_DIR: give a file or folder that is there")
    check(source, out, sealed, secret_file, report if name_files else None)
    site = site_of(
        secret_file, options, facility, configuration, sealed=sealed is not None, init_secret=init_secret
    )
    job = Job(
        Tree(source),
        out,
        site.secrets,
        facility=site.facility,
        profile=site.profile,
        rules=site.rules,
        decoder=None if site.rules is None else decoder,
        sealed=sealed,
        seal_pixels=seal_pixels,
    )
    _deidentify(job, processes, report, lasting=site.lasting, name_files=name_files, as_json=as_json)


def _deidentify(
    job: Job, jobs: int, report: Path | None, *, lasting: bool, name_files: bool, as_json: bool
) -> None:
    kept = job.sealed is not None
    with _troubles_in_words(), _shown("de-identified") as progress:
        tally = deidentify_tree(job, jobs=jobs, progress=progress, in_worker=_in_worker)
    told = deid_report.document(tally, job.profile, sealed=kept, name_files=name_files)
    _write_report(report, told)
    if as_json:
        print_json(told)
    else:
        deid_report.tell(tally, sealed=kept, name_files=name_files)
        if not lasting:
            console.print("No --secret-file: these pseudonyms are never made again.")
    if not tally.fates.total() - tally.fates[Fate.LEFT_OUT]:
        fail("no DICOM file was found")
    if tally.trouble:
        raise typer.Exit(FAILED)


def _restore(job: RestoreJob, jobs: int, report: Path | None, *, as_json: bool) -> None:
    with _troubles_in_words(), _shown("given back") as progress:
        told = restore_tree(job, jobs=jobs, progress=progress, in_worker=_in_worker)
    document = deid_report.restored_document(told)
    _write_report(report, document)
    if as_json:
        print_json(document)
    else:
        deid_report.tell_restored(told)
    if told.failed.total():
        raise typer.Exit(FAILED)
    if not told.files:
        fail("nothing that is sealed here belongs to FILE_OR_DIR")


@contextmanager
def _shown(what: str) -> Iterator[Told]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, transient=True) as bar:
        task = bar.add_task("looking", total=None)
        yield lambda done, total: bar.update(task, description=what, completed=done, total=total)


@contextmanager
def _troubles_in_words() -> Iterator[None]:
    try:
        yield
    except (Occupied, SealsRefused) as error:
        fail(str(error))
    except CannotWrite as error:
        fail(f"cannot write: {error}. What is there is whole; run again to go on")
    except BrokenProcessPool:
        fail("a process was ended from outside (too little memory?). What is there is whole; run again")
    except OSError as error:
        fail(f"a folder cannot be read: {error.strerror}")
    except KeyboardInterrupt:
        fail("stopped. What is there is whole; run again to go on")


def _write_report(path: Path | None, document: object) -> None:
    if path is None:
        return
    try:
        path.write_text(json.dumps(document, indent=2) + "\n", "utf-8")
    except OSError as error:
        fail(f"the report cannot be written: {error.strerror}")


def _in_worker() -> None:
    logs.configure("warning", "console", "deid")


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
