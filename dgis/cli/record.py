"""`dgis record inspect|verify|unpack`: a series record alone, with no database and no gateway."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn

from dgis.cli.common import (
    FAILED,
    AsJson,
    errors,
    failures_in_words,
    print_fields,
    print_json,
    print_table,
)
from dgis.savings import Saving, measure
from storage_nodes.record.errors import RecordError
from storage_nodes.record.reader import RecordReader
from storage_nodes.record.sources import FileSource
from storage_nodes.record.summary import RecordSummary
from storage_nodes.record.unpack import unpack as unpack_record
from storage_nodes.record.verify import verify_record

app = typer.Typer(help="Read a series record with no database.", no_args_is_help=True)

_SAVED = ("series", "instances", "sealed whole", "files", "record", "companion", "saved %", "zip %")
RecordFile = Annotated[
    Path, typer.Argument(exists=True, dir_okay=False, help="A record as it lies on a node.")
]


@app.command()
def inspect(file: RecordFile, as_json: AsJson = False) -> None:
    """Show what a record says of itself."""
    with failures_in_words(RecordError, OSError), FileSource(file) as source:
        reader = RecordReader(source)
        manifest, values = reader.manifest, _values(reader.summary)
        values = {
            "key": str(manifest.key),
            "about": dict(manifest.about),
            "writer": dict(manifest.writer),
            **values,
        }
    _print(values, as_json=as_json)


@app.command()
def verify(file: RecordFile, as_json: AsJson = False) -> None:
    """Read every byte, check every digest, decode every frame; exit with 1 where something is wrong."""
    with failures_in_words(RecordError, OSError), FileSource(file) as source:
        report = verify_record(source)
    problems = [asdict(problem) for problem in report.problems]
    values = {"whole": report.whole, "size": report.size, "problems": problems}
    _print(values, as_json=as_json)
    if not report.whole:
        raise typer.Exit(FAILED)


@app.command()
def unpack(
    file: RecordFile,
    to: Annotated[Path, typer.Option("--to", help="Folder for the DICOM files.")],
    as_json: AsJson = False,
) -> None:
    """Write the de-identified instances as DICOM files."""
    with (
        failures_in_words(RecordError, OSError),
        FileSource(file) as source,
        Progress(console=errors, transient=True) as progress,
    ):
        reader = RecordReader(source, read_ahead_bytes=_READ_AHEAD_BYTES)
        files = list(progress.track(unpack_record(reader, to), total=len(reader.instances)))
    _print({"files": len(files), "folder": str(to)}, as_json=as_json)


_READ_AHEAD_BYTES = 4 << 20
_PERCENTS = ("saved_percent", "zip_saved_percent")


def _values(summary: RecordSummary) -> dict[str, Any]:
    values = asdict(summary)
    values["raw_bytes"] = summary.raw_bytes
    values["codecs"] = {codec.name: share for codec, share in values["codecs"].items()}
    return values


def _print(values: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(values)
        return
    print_fields(values)


@app.command()
def savings(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Series, a folder each.")],
    part_bytes: Annotated[int, typer.Option(help="Raw bytes of a part at most.")] = 64 << 20,
    as_json: AsJson = False,
) -> None:
    """Measure what record and sealed companion save of DICOM files, beside a ZIP of them; writes nothing."""
    rows: list[Saving] = []
    columns = (SpinnerColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=errors, transient=True) as progress:
        task = progress.add_task("packing", total=None)
        for saving in measure(folder, part_bytes):
            rows.append(saving)
            progress.update(task, description=f"packed {saving.name}")
    if as_json:
        measured = {"saved_percent", "zip_saved_percent"}
        print_json(
            [{**asdict(row), **{name: getattr(row, name) for name in sorted(measured)}} for row in rows]
        )
        return
    print_table(_SAVED, map(_saved, rows))


def _saved(row: Saving) -> tuple[str, ...]:
    sizes = (row.file_bytes, row.record_bytes, row.companion_bytes)
    percents = (f"{row.saved_percent:.2f}", f"{row.zip_saved_percent:.2f}")
    return (row.name, str(row.instances), str(row.sealed_whole), *map(str, sizes), *percents)
