"""`dgis review`: what was sealed whole for its pixels, and what a local reviewer decides of it."""

import getpass
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import sqlalchemy as sa
import typer

from catalog.audit.values import Event, Happening, Json
from catalog.tables import PHI
from deid.cleaned import NotDecoded
from deid.rectangles import Rectangle
from dgis import parts
from dgis.cli.common import (
    FAILED,
    AsJson,
    Config,
    Home,
    console,
    errors,
    fail,
    failures_in_words,
    print_json,
    print_table,
)
from dgis.cli.find import resolve
from dgis.cli.opening import Opened, opened
from dgis.configuration import Configuration
from dgis.decoding import SpooledDecoder
from dgis.keyholder.protocol import KeyholderGone
from dgis.retriever.records import NotHere
from dgis.review import log
from dgis.review.picture import NoPictureError
from dgis.review.review import Reviewer, decide, decide_series, queue
from dgis.review.show import png, write_private
from dgis.review.values import Choice, Decided, Item, Refused, Ruling, Said, State, parse_frames, parse_name
from dgis.spooled import spooled
from dgis.trail.acts import act, record
from dgis.transcode.transcoder import GatewayTranscoder

app = typer.Typer(help="Review what was sealed whole for its pixels.", no_args_is_help=True)

_MOST_NAMED = 20  # instances of one decision in the trail
_LISTED = ("series", "instance", "modality", "rows x columns", "frames", "since", "state", "reason")
_LOGGED = ("id", "when", "by", "decision", "instance", "outcome")

Keys = Annotated[
    list[str], typer.Argument(metavar="KEY", help="Instances, as `dgis review list` names them.")
]
OfSeries = Annotated[
    str | None, typer.Option("--series", metavar="KEY", help="The whole series, in place of instances.")
]
By = Annotated[
    str | None,
    typer.Option("--by", metavar="NAME", help="Who decides; recorded as said.", show_default=False),
]


@app.command("list")
def list_queue(
    every: Annotated[
        bool, typer.Option("--all", help="Show what was decided and is still sealed, too.")
    ] = False,
    series: OfSeries = None,
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """List what waits for a reviewer: pseudonyms of series and instance, and why it was sealed."""
    states = (State.WAITING, State.ON_ITS_WAY, State.KEPT) if every else (State.WAITING,)
    with opened(home, config) as gateway, gateway.reading() as connection:
        rows = [_row(item) for item in queue(connection, states, series)]
    if as_json:
        print_json(rows)
        return
    if not rows:
        console.print("nothing waits for a reviewer")
        return
    print_table(_LISTED, map(_cells, rows))
    console.print("dgis review show|release|blank|keep KEY", markup=False)


@app.command()
def show(
    key: Annotated[str, typer.Argument(metavar="KEY", help="An instance.")],
    to: Annotated[Path, typer.Option("--to", help="PNG file; readable by you alone.")],
    frame: Annotated[int, typer.Option(min=1, help="Which frame.")] = 1,
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Write a frame of an original as PNG; the caller of [cli] assertions must be cleared for it."""
    wrong = (NotHere, KeyholderGone, NotDecoded, NoPictureError, OSError)
    with failures_in_words(*wrong), opened(home, config) as gateway:
        with gateway.reading() as connection:
            uid = connection.scalar(
                sa.select(PHI.instance.c.sop_instance_uid).where(PHI.instance.c.instance_key == key)
            )
        found = resolve(gateway, uid) if uid is not None else ()
        if not found:
            fail("no such instance, or this caller is not cleared for it ([cli] assertions)")
        scratch = parts.scratch(gateway.configuration)
        data = spooled(found[0].open(), scratch)
        with closing(GatewayTranscoder(folder=scratch, decoders=1)) as transcoder:
            decoder = SpooledDecoder(transcoder, scratch)
            write_private(to, png(data, found[0].transfer_syntax, frame, decoder))
    if as_json:
        print_json({"file": str(to), "frame": frame})
    else:
        console.print(f"{to}", markup=False, soft_wrap=True)


def _saying(choice: Choice) -> Callable[..., None]:
    """Return the command of a decision that needs nothing but instances, or a series."""

    def command(
        keys: Keys = [],  # noqa: B006
        series: OfSeries = None,
        by: By = None,
        home: Home = None,
        config: Config = None,
        as_json: AsJson = False,
    ) -> None:
        with opened(home, config) as gateway:
            _decide(gateway, keys, series, Ruling(choice), by, as_json=as_json)

    return command


app.command(
    "release", help="Say that no identity shows: the instances are published with their pixels as they are."
)(_saying(Choice.RELEASE))


@app.command()
def blank(
    keys: Keys = [],  # noqa: B006
    rectangle: Annotated[
        list[str], typer.Option("--rectangle", metavar="X,Y,WxH", help="From the top left, in pixels.")
    ] = [],  # noqa: B006
    frames: Annotated[str, typer.Option("--frames", help="`all`, or like 1-10,12.")] = "all",
    series: OfSeries = None,
    by: By = None,
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Publish the instances once these rectangles are blanked, and nothing else identifies."""
    with opened(home, config) as gateway:
        with failures_in_words(ValueError):
            rectangles = tuple(map(Rectangle.parse, rectangle))
            ruling = Ruling(Choice.BLANK, rectangles, parse_frames(frames))
        _decide(gateway, keys, series, ruling, by, as_json=as_json)


app.command("keep", help="Leave the instances sealed whole, and take them from the queue.")(
    _saying(Choice.KEEP)
)
app.command(
    "withdraw",
    help="Take back what was decided: published forms leave the catalog, and the instances wait again.\n\n"
    "Who fetched them keeps them. Their form stays on the nodes, where nobody is led to it any more, until "
    "the part is merged with others.",
)(_saying(Choice.WITHDRAW))


@app.command("log")
def show_log(
    key: Annotated[str | None, typer.Argument(metavar="KEY", help="Of one instance only.")] = None,
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Print who decided what and when, oldest first, and whether the log is whole (else exit code 1)."""
    with opened(home, config) as gateway, gateway.reading() as connection:
        said = log.read(connection, key)
        broken = log.first_broken(connection)
    if as_json:
        print_json({"decisions": [_said(each) for each in said], "broken_at": broken})
    else:
        rows = map(_said, said)
        print_table(_LOGGED, ([str(row[name]) for name in _LOGGED] for row in rows))
    if broken is not None:
        errors.print(f"the log was altered: decision {broken} does not follow from the one before it")
        raise typer.Exit(FAILED)


def _decide(
    gateway: Opened, keys: Sequence[str], series: str | None, ruling: Ruling, by: str | None, *, as_json: bool
) -> None:
    if bool(keys) == (series is not None):
        fail("name instances, or a series with --series")
    with failures_in_words(ValueError):
        name = parse_name(by or _own_name(gateway.configuration))
    part_bytes = gateway.configuration.publish.part_bytes
    reviewer = Reviewer(name, parts.now_ms(), gateway.gateway_id, part_bytes)
    with gateway.engine.begin() as connection:
        if series is not None:
            answer = decide_series(connection, series, ruling, reviewer)
        else:
            answer = decide(connection, keys, ruling, reviewer)
        if not isinstance(answer, Refused):
            record(connection, gateway.gateway_id, _act(gateway, keys, series, ruling, name, answer))
    if isinstance(answer, Refused):
        fail(f"nothing was decided: {answer.reason}")
    if as_json:
        print_json({"decision": ruling.choice.value, "instances": answer.instances, "by": name})
    else:
        console.print(f"{ruling.choice.value}: {answer.instances} instances, said by {name}")


def _act(
    gateway: Opened, keys: Sequence[str], series: str | None, ruling: Ruling, name: str, answer: Decided
) -> Happening:
    """Return what the trail keeps of a decision; the log of reviews has each instance."""
    named: Json = series if series is not None else [*keys[:_MOST_NAMED]]
    rectangles: Json = [str(each) for each in ruling.rectangles]
    detail: dict[str, Json] = {"by": name, "of": named, "instances": answer.instances, "blanked": rectangles}
    return act(gateway.gateway_id, Event.REVIEW, ruling.choice.value, detail)


def _own_name(configuration: Configuration) -> str:
    said = configuration.cli.assertions
    if said is not None and said.user:
        return said.user
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        fail("the system knows no name for this user: say --by NAME")


def _row(item: Item) -> dict[str, Any]:
    said = asdict(item)
    return {**said, "state": item.state.value, "since": _when(said.pop("since_ms"))}


def _cells(row: Mapping[str, Any]) -> Sequence[str]:
    size = f"{row['rows']}x{row['columns']}"
    why = f"{row['reason']} ({row['words']})" if row["words"] else row["reason"]
    return [
        str(cell)
        for cell in (
            *(row["series"], row["instance"], row["modality"], size),
            *(row["frames"], row["since"], row["state"], why),
        )
    ]


def _said(said: Said) -> dict[str, Any]:
    rectangles = [str(each) for each in said.ruling.rectangles]
    frames = [f"{first}-{last}" for first, last in said.ruling.frames]
    return {
        "id": said.id,
        "when": _when(said.at_ms),
        "by": said.said_by,
        "decision": " ".join([said.ruling.choice.value, *rectangles, *frames]),
        "series": said.series,
        "instance": said.instance,
        "previous": said.previous_id,
        "outcome": said.outcome,
    }


def _when(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")
