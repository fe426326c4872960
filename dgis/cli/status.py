"""`dgis status`, `dgis series`, `dgis wait`: how far everything is on its way into the grid."""

import time
from typing import Annotated, Any

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from dgis import overview
from dgis.cli.common import (
    FAILED,
    AsJson,
    Config,
    Home,
    console,
    errors,
    fail,
    moment,
    print_fields,
    print_json,
    print_table,
)
from dgis.cli.opening import Opened, opened
from dgis.parts import now_ms

app = typer.Typer(help="State of each series on its way into the grid.", no_args_is_help=True)

_LOOK_SECONDS = 0.2
_SERIES_COLUMNS = ("series", "modality", "instances", "state", "pending", "parts", "sealed whole", "error")


def status(home: Home = None, config: Config = None, as_json: AsJson = False) -> None:
    """Say what was received, what is pending, what is published, and how the copies stand."""
    with opened(home, config) as gateway, gateway.reading() as connection:
        values = overview.everything(connection, gateway.log, gateway.configuration, now_ms())
    if as_json:
        print_json(values)
        return
    since_ms = now_ms() - gateway.configuration.gateway.away_after_seconds * 1000
    for line in _words(values) + _others(values["gateways"], gateway.gateway_id, since_ms):
        console.print(line, markup=False, soft_wrap=True)


def _words(values: dict[str, Any]) -> list[str]:
    catalog, cache, parts = values["catalog"], values["cache"], values["parts"]
    sizes = {name: _bytes(parts[name]) for name in ("raw_bytes", "stored_bytes")}
    published = f"{catalog['published']} instances in {catalog['published_series']} series"
    room = f"{_bytes(cache['used_bytes'])} of {_bytes(cache['max_bytes'])}"
    sent = f"{catalog['received']} instances, {catalog['series']} series, {catalog['studies']} studies"
    lines = [
        f"received   {sent}",
        f"published  {published}: {sizes['raw_bytes']} as {sizes['stored_bytes']} a copy",
        f"pending    {catalog['pending']} instances; {cache['unindexed_instances']} not yet indexed",
        f"sealed     {catalog['withheld']} instances whole, for cleared callers only",
        f"conflicts  {cache['conflicts']} to decide (dgis conflicts list)",
        f"cache      {room}, {_bytes(cache['free_bytes'])} free on the disk",
    ]
    lines += [f"  {count} x {reason}" for reason, count in values["withheld"].items()]
    lines += [f"nodes      {line}" for line in values["copies"]["words"]]
    lines += _scrub(values["scrub"])
    lines += [
        f"door       {kind.replace('_', ' ')}: {detail} x {count}"
        for kind, details in values["door"].items()
        for detail, count in details.items()
    ]
    lines += _merges(values["merges"])
    lines += _commitments(values["commitments"])
    lines += _repository(values["audit_repository"])
    lines += [_facility(name, said) for name, said in values["facilities"].items()]
    if values["holds"]:
        lines.append(f"holds      {values['holds']} (dgis hold list)")
    erasures = values["erasures"]
    if erasures["asked"]:
        lines.append(
            f"erased     {erasures['asked']} times a patient; {erasures['pending']} not done here yet"
        )
    if erasures["key_stores_pending"]:
        lines.append("trouble    a key store does not know of every erasure (dgis keys status)")
    lines += [
        f"trouble    series {row['series_key']}: {row['last_error']} (attempt {row['attempts']})"
        for row in values["waiting"]
        if row["last_error"]
    ]
    return lines


def _scrub(scrub: dict[str, Any]) -> list[str]:
    if scrub["oldest_verified_ms"] is None:
        return []
    within = f"every copy within {scrub['scrub_days']} days"
    kept = f"{within}: kept" if scrub["kept"] else f"trouble: not {within}; raise care.scrub_bytes_per_second"
    return [f"scrub      oldest copy verified {moment(scrub['oldest_verified_ms'])}; {kept}"]


def _merges(merges: dict[str, Any]) -> list[str]:
    if not any(merges[name] for name in ("waiting", "merged_parts", "old_objects")):
        return []
    old = (
        f"; {merges['old_objects']} old objects until their grace time is over"
        if merges["old_objects"]
        else ""
    )
    failing = f", {merges['failing']} after a failed attempt" if merges["failing"] else ""
    return [
        f"merges     {merges['waiting']} series wait{failing}; {merges['merged_parts']} parts merged{old}"
    ]


_OPEN = {
    "judging": ("commitment", "transactions are not answered yet"),
    "reporting": ("commitment", "reports are not delivered yet (dgis commitment list)"),
    "given_up": ("trouble", "commitment reports are given up (dgis commitment retry)"),
    "notices": ("notices", "series are still to be told to destinations (dgis commitment notices)"),
}


def _commitments(said: dict[str, Any]) -> list[str]:
    lines = []
    for name, (head, words) in _OPEN.items():
        each = said[name]
        if each["count"]:
            failing = f", {each['failing']} failed before" if each["failing"] and name != "given_up" else ""
            since = moment(each["since_ms"])
            lines.append(f"{head:10} {each['count']} {words}, the oldest since {since}{failing}")
    return lines


def _others(gateways: list[dict[str, Any]], own: str, since_ms: int) -> list[str]:
    """Say of the other gateways which are silent, and what lies in their caches alone."""
    lines = []
    for each in gateways:
        name, heard = each["gateway_id"], moment(each["heard_ms"])
        waits = f"{each['alone']} instances lie in its cache alone, {each['shared']} in others too"
        if name == own:
            continue
        if each["heard_ms"] >= since_ms:
            lines.append(f"gateway    {name} lives, last heard of {heard}; {waits}")
        elif each["alone"]:
            lines.append(f"trouble    gateway {name} is silent since {heard}: {waits}; start it on its disk")
        else:
            lines.append(f"gateway    {name} is silent since {heard}; nothing waits for it")
    return lines


def _facility(name: str, said: dict[str, Any]) -> str:
    limits = {"instances": said["quota_instances"], "bytes": said["quota_bytes"]}
    most = [_bytes(limits["bytes"]) if limits["bytes"] else "", str(limits["instances"] or "")]
    used = [_bytes(said["bytes"]), str(said["instances"])]
    words = [f"{one} of {of}" if of else one for one, of in zip(used, most, strict=True)]
    full = "; FULL: what it sends is refused" if said["full"] else ""
    return f"facility   {name}: {words[0]}, {words[1]} instances{full}"


def _repository(audit: dict[str, Any] | None) -> list[str]:
    if audit is None:
        return []
    since = audit["waiting_since_ms"]
    oldest = f", the oldest since {moment(since)}" if since else ""
    lines = [f"audit      {audit['waiting']} entries wait for {audit['repository']}{oldest}"]
    if audit["trouble"]:
        began = moment(audit["trouble_since_ms"])
        lines.append(f"trouble    the audit repository, since {began}: {audit['trouble']}")
    return lines


@app.command("list")
def list_series(home: Home = None, config: Config = None, as_json: AsJson = False) -> None:
    """List the series, newest first, by pseudonym, with their state and last error in words."""
    with opened(home, config) as gateway, gateway.reading() as connection:
        rows = overview.series(connection, gateway.gateway_id)
    if as_json:
        print_json(rows)
        return
    print_table(_SERIES_COLUMNS, map(_series_row, rows))


def _series_row(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["series"],
        row["modality"],
        str(row["instances"]),
        row["state"],
        str(row["pending"]),
        f"{row['parts_published']}/{row['parts']}",
        str(row["withheld"]),
        row["last_error"] or "",
    )


@app.command("show")
def show_series(
    key: Annotated[str, typer.Argument(help="The series' pseudonym, as `dgis series list` prints it.")],
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show one series."""
    with opened(home, config) as gateway, gateway.reading() as connection:
        found = overview.one_series(connection, gateway.gateway_id, key)
    if found is None:
        fail("no such series here (dgis series list)")
    if as_json:
        print_json(found)
        return
    words = {"removed": "; ".join(found["removed"]), "records": " ".join(found["records"])}
    print_fields({**found, **words, "merge": _merge_words(found["merge"])})


def _merge_words(merge: dict[str, Any] | None) -> str:
    if merge is None:
        return ""
    error = f"; {merge['last_error']} (attempt {merge['attempts']})" if merge["last_error"] else ""
    return f"its small parts are merged after {moment(merge['due_ms'])}{error}"


def wait(
    timeout: Annotated[float, typer.Option(help="Seconds to wait at most.")] = 600.0,
    home: Home = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Return when nothing is pending; exit with 1 on time-out, naming what is."""
    deadline = time.monotonic() + timeout
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with opened(home, config) as gateway, Progress(*columns, console=errors, transient=True) as progress:
        task = progress.add_task("looking", total=None)
        while True:
            left = _pending(gateway)
            if not any(left.values()):
                break
            progress.update(
                task, description=f"{left['series']} series on their way, {left['unindexed']} to index"
            )
            if time.monotonic() > deadline:
                break
            time.sleep(_LOOK_SECONDS)
        with gateway.reading() as connection:
            waiting = overview.waiting(connection, gateway.gateway_id)
    if as_json:
        print_json({"pending": left, "waiting": waiting})
    if any(left.values()):
        for row in waiting:
            why = row["last_error"] or f"{row['step']}, {row['instances']} instances"
            errors.print(f"series {row['series_key']}: {why}", markup=False, soft_wrap=True)
        errors.print(f"still pending: {left['series']} series, {left['unindexed']} instances to index")
        raise typer.Exit(FAILED)


def _pending(gateway: Opened) -> dict[str, int]:
    with gateway.reading() as connection:
        return overview.pending(connection, gateway.log, gateway.gateway_id)


def _bytes(count: float) -> str:
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1000:  # noqa: PLR2004 (the step between decimal units)
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
