"""`dgis fetch`: images of this gateway or of one elsewhere, as DICOM files or as volumes."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from pydicom import dcmread
from rich.progress import Progress

from catalog.query import InvalidQuery
from dgis.cli.common import FAILED, AsJson, Config, Home, console, errors, fail, failures_in_words, print_json
from dgis.cli.find import resolve
from dgis.cli.opening import opened
from dgis.cli.remote import Account, Credential, Url, connected, only_with_url
from dgis.client.downloading import Manner, Wanted, download
from dgis.client.errors import IncompleteError, NotFoundError
from dgis.client.selection import Level, Selection, wanted
from dgis.client.transport import Transport
from dgis.keyholder.protocol import KeyholderGone
from dgis.retriever.files import write_part10
from dgis.retriever.outgoing import Sendable
from dgis.retriever.records import NotHere


class FormName(StrEnum):
    """What files are written."""

    DICOM = "dicom"
    NIFTI = "nifti"
    NUMPY = "numpy"
    ZARR = "zarr"


Folder = Annotated[Path, typer.Option("--to", help="Folder for the files.")]
Form = Annotated[FormName, typer.Option("--as", help="DICOM files, or volumes with spacing and orientation.")]


def fetch(
    uid: Annotated[str, typer.Argument(help="Study, series or SOP instance UID.")],
    to: Folder,
    form: Form = FormName.DICOM,
    workers: Annotated[int, typer.Option(min=1, max=32, help="With --url: series at once.")] = 4,
    url: Url = None,
    credential: Credential = None,
    account: Account = None,
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Fetch by UID: an original's UID gives originals to the cleared, a pseudonym the de-identified form.

    From elsewhere (--url), a second run fetches only what is missing; SHA256SUMS says what is whole.
    """
    if url:
        with failures_in_words(OSError), connected(url, credential, account) as transport:
            say(fetch_wanted(transport, _resolved(transport, uid), to, form, workers), as_json=as_json)
        return
    only_with_url(credential, account)
    with failures_in_words(InvalidQuery, OSError), opened(home, config) as gateway:
        found = resolve(gateway, uid)
        if not found:
            fail("nothing by that UID that this caller may retrieve")
        if form is FormName.DICOM:
            written, failed = _write_all(found, to)
            said: dict[str, Any] = {"files": written, "failed": failed, "folder": str(to)}
        else:
            said = _converted(found, to, form)
    say(said, as_json=as_json)


def fetch_wanted(
    transport: Transport, series: Sequence[Wanted], to: Path, form: FormName, workers: int
) -> dict[str, Any]:
    """Fetch series from a gateway elsewhere; returns what became of it, for people and scripts."""
    manner = Manner(workers, progress=True)
    if form is FormName.DICOM:
        try:
            done = download(transport, series, to, manner)
        except IncompleteError as error:
            told = [f"{uid}: {words}" for uid, words in error.failed.items()]
            return {"files": error.files, "failed": len(error.failed), "folder": str(to), "told": told}
        return {
            "files": done.files,
            "fetched": done.fetched,
            "there": done.there,
            "failed": 0,
            "folder": str(to),
        }
    from dgis.client.conversion import fetch_volumes  # noqa: PLC0415 (the decoders take a second to load)
    from dgis.client.volume.writing import Form  # noqa: PLC0415 (likewise)

    made = fetch_volumes(transport, series, to, Form(form.value), manner)
    told = [f"{uid}: {words}" for uid, each in made.told.items() for words in each]
    told += [f"{uid}: {words}" for uid, words in made.failed.items()]
    return {
        "volumes": made.volumes,
        "series": made.made + made.there,
        "there": made.there,
        "failed": len(made.failed),
        "folder": str(to),
        "told": told,
    }


def _resolved(transport: Transport, uid: str) -> Sequence[Wanted]:
    for level in Level:
        selection = Selection(transport, level, ((level.key, uid),))
        if len(selection):
            return wanted(selection)
    raise NotFoundError("nothing by that UID that this caller may retrieve")


def say(said: dict[str, Any], *, as_json: bool) -> None:
    """Print what became of a fetch; exit code 1 where something failed."""
    if as_json:
        print_json(said)
    else:
        what = f"{said['volumes']} volumes" if "volumes" in said else f"{said.get('files', 0)} files"
        console.print(f"{what} in {said['folder']}", markup=False, soft_wrap=True)
        for words in said.get("told", ()):
            errors.print(words, soft_wrap=True)
    if said["failed"]:
        errors.print(f"{said['failed']} could not be had")
        raise typer.Exit(FAILED)


def _converted(found: Sequence[Sendable], to: Path, form: FormName) -> dict[str, Any]:
    """Write what lies here as volumes, a folder a series."""
    from dgis.client.conversion import convert  # noqa: PLC0415 (as above)
    from dgis.client.volume.values import VolumeError  # noqa: PLC0415 (as above)
    from dgis.client.volume.writing import Form  # noqa: PLC0415 (as above)

    to.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=to, prefix=".dicom-") as aside:
        written, failed = _write_all(found, Path(aside))
        series: dict[str, list[Path]] = {}
        for path in sorted(Path(aside).glob("*.dcm")):
            series.setdefault(_series_of(path), []).append(path)
        told: list[str] = []
        volumes = 0
        for uid, files in series.items():
            try:
                made = convert(files, to / uid, Form(form.value))
            except VolumeError as error:
                failed += 1
                told.append(f"{uid}: {error}")
            else:
                volumes += len(made["volumes"])
                told += [f"{uid}: {words}" for words in made["told"]]
    return {"volumes": volumes, "files": written, "failed": failed, "folder": str(to), "told": told}


def _series_of(path: Path) -> str:
    uid = str(dcmread(path, stop_before_pixels=True, specific_tags=["SeriesInstanceUID"]).SeriesInstanceUID)
    return "".join(each for each in uid if each in "0123456789.").strip(".") or "series"


def _write_all(found: Sequence[Sendable], to: Path) -> tuple[int, int]:
    to.mkdir(parents=True, exist_ok=True)
    written = failed = 0
    with Progress(console=errors, transient=True) as progress:
        for each in progress.track(found, description="fetching"):
            try:
                write_part10(each, to)
            except (NotHere, KeyholderGone, ValueError) as error:
                errors.print(str(error))
                failed += 1
            else:
                written += 1
    return written, failed
