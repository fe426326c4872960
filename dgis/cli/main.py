"""The `dgis` command: one module a command group, listed here."""

import typer

from dgis.cli import config, serve

app = typer.Typer(
    name="dgis",
    help="DICOM grid gateway: receives images, packs de-identified series, keeps copies, gives them back.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # a traceback's local values may hold patient data
    rich_markup_mode=None,
)
app.command("serve")(serve.serve)
app.add_typer(config.app, name="config")


def run() -> None:
    """Run the command line; the entry point of the `dgis` script."""
    app()
