"""The commands about a store as a whole; thin, see `flows.cli`."""

import click

from flows.cli_options import common, json_option, read_settings
from flows.console import errors_become_exit_codes


@click.group()
def store() -> None:
    """Look after the store itself."""


@store.command(
    epilog="""\b
Examples:
  nightpress store check --store ./store
  nightpress store check --store s3://bucket/prefix --json"""
)
@common
@json_option
def check(as_json: bool, quiet: bool, **flags: object) -> None:
    """Try a store, in under 30 seconds; exit code 5 when it does not keep what publishing needs."""
    with errors_become_exit_codes():
        settings = read_settings(flags, quiet=quiet)
        from flows.store_commands import check as check_store  # noqa: PLC0415 - loads the store

        check_store(settings, as_json=as_json)


STORE_COMMANDS: tuple[click.Command, ...] = (store,)
