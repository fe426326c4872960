"""The `dgis` command: one module a command group, listed here."""

import typer

from dgis.cli import cache, config, conflicts, demo, doctor, find, keys, node, record, serve, status

app = typer.Typer(
    name="dgis",
    help="DICOM grid gateway: receives images, packs de-identified series, keeps copies, gives them back.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # a traceback's local values may hold patient data
    rich_markup_mode=None,
)
app.command("serve")(serve.serve)
app.command("demo")(demo.demo)
app.command("status")(status.status)
app.command("wait")(status.wait)
app.command("find")(find.find_command)
app.command("fetch")(find.fetch)
app.command("doctor")(doctor.doctor)
app.command("scrub")(node.scrub)
app.command("repair")(node.repair)
for name, group in (
    ("series", status.app),
    ("cache", cache.app),
    ("conflicts", conflicts.app),
    ("record", record.app),
    ("node", node.app),
    ("keys", keys.app),
    ("config", config.app),
):
    app.add_typer(group, name=name)


def run() -> None:
    """Run the command line; the entry point of the `dgis` script."""
    app()
