"""The commands about a store as a whole; thin, see `flows.cli`."""

import click

STORE_COMMANDS: tuple[click.Command, ...] = ()
