"""`dgis config show|check`: the effective configuration, secrets hidden."""

import typer

from dgis.cli.common import (
    AsJson,
    Config,
    Home,
    console,
    failures_in_words,
    load_configuration,
    print_json,
)

app = typer.Typer(help="Show or check the effective configuration.", no_args_is_help=True)


@app.command()
def show(home: Home = None, config: Config = None, as_json: AsJson = False) -> None:
    """Print every setting with its effective value; secrets are hidden."""
    values = load_configuration(home, config).model_dump(mode="json")
    if as_json:
        print_json(values)
        return
    for section, content in values.items():
        if isinstance(content, dict):
            console.print(f"[{section}]", markup=False)
            for key, value in content.items():
                console.print(f"  {key} = {value!r}", markup=False, soft_wrap=True)
        else:
            console.print(f"{section} = {content!r}", markup=False)


@app.command()
def check(home: Home = None, config: Config = None, as_json: AsJson = False) -> None:
    """Read the configuration and say whether it can be used; exit code 1 names the wrong key."""
    configuration = load_configuration(home, config)
    # Only here: what these load takes longer than the rest of the command.
    from deid.verdict import standard_rules  # noqa: PLC0415
    from dgis import parts  # noqa: PLC0415

    with failures_in_words(parts.StartError):
        parts.deid_profile(configuration)
        rules = len(parts.pixel_rules(configuration)) - len(standard_rules())
    if as_json:
        print_json({"ok": True, "home": str(configuration.gateway.home)})
    else:
        own = f", {rules} own rules on pixels" if configuration.deid.rules_file else ""
        console.print(
            f"ok: home {configuration.gateway.home}, {len(configuration.nodes)} nodes{own}", markup=False
        )
