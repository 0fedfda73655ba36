"""The commands about nights; thin, see `flows.cli`."""

import click

from flows.cli_options import common, json_option, read_settings
from flows.console import errors_become_exit_codes


@click.command(
    epilog="""\b
Examples:
  nightpress runs --store ./store
  nightpress runs --store ./store --limit 90 --json | jq '.runs[] | [.run, .end, .cost.spent]'"""
)
@click.option(
    "--limit", type=click.IntRange(1), default=20, show_default=True, help="Runs at most."
)
@common
@json_option
def runs(limit: int, as_json: bool, quiet: bool, **flags: object) -> None:
    """List how the last runs ended, also those that published nothing, the newest first."""
    with errors_become_exit_codes(as_json=as_json):
        settings = read_settings(flags, quiet=quiet)
        from flows.night_commands import show_runs  # noqa: PLC0415 - loads the store

        show_runs(settings, limit=limit, as_json=as_json)


NIGHT_COMMANDS: tuple[click.Command, ...] = (runs,)
