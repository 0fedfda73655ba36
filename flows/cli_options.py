"""Options that commands share, and how they become settings."""

import os
from collections.abc import Callable
from pathlib import Path

import click

from flows.console import set_up_logging
from flows.settings import Settings, load_settings

Command = Callable[..., None]


def common(command: Command) -> Command:
    """Add the options that every command has."""
    options = (
        click.option("--store", metavar="URL", help="Store: a folder or s3://BUCKET/PREFIX."),
        click.option("--collection", metavar="NAME", help="Collection in the store."),
        click.option(
            "--config",
            type=click.Path(path_type=Path, dir_okay=False),
            help="Settings file; nightpress.toml in the working folder by default.",
        ),
        click.option(
            "--set",
            "assignments",
            metavar="NAME=VALUE",
            multiple=True,
            help="Any setting by its name; may be repeated.",
        ),
        click.option("--quiet", is_flag=True, help="Show no progress."),
    )
    for option in reversed(options):
        command = option(command)
    return command


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


def sourced(command: Command) -> Command:
    """Add the options of commands that look at a source."""
    options = (
        click.option(
            "--source",
            metavar="PLACE",
            multiple=True,
            help="Documents: DIR, s3://BUCKET/PREFIX, or NAME= either.",
        ),
        click.option("--include", metavar="GLOB", multiple=True, help="Take only what matches."),
        click.option("--exclude", metavar="GLOB", multiple=True, help="Leave out what matches."),
        click.option(
            "--runner",
            type=click.Choice(["threads", "dask", "ray"]),
            help="What works through batches.",
        ),
        click.option("--cluster", metavar="ADDRESS", help="Cluster for dask or ray."),
        click.option(
            "--embedder", metavar="SPEC", help="offline, hashing[:N], mistral, openai:MODEL, …"
        ),
        click.option("--full", is_flag=True, default=None, help="Index every document anew."),
        click.option(
            "--stored-text",
            is_flag=True,
            default=None,
            help="Read no source: another embedder for the text of the last version.",
        ),
        click.option(
            "--retry-rejected", is_flag=True, default=None, help="Try rejected documents again."
        ),
        click.option(
            "--single-writer",
            is_flag=True,
            default=None,
            help="Use a store that is unfit for several writers.",
        ),
        click.option(
            "--allow-removal",
            is_flag=True,
            default=None,
            help="Go on although many documents would vanish.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def read_settings(flags: dict[str, object], *, quiet: bool) -> Settings:
    """Merge what was typed with environment and file, and set up logging."""
    config = flags.pop("config", None)
    assignments = flags.pop("assignments", ())
    given = {name: value for name, value in flags.items() if value not in (None, ())}
    if isinstance(assignments, tuple):
        given.update(_assigned(assignments))
    loaded = load_settings(given, os.environ, config if isinstance(config, Path) else None)
    set_up_logging(loaded.settings.log_level, quiet=quiet)
    for notice in loaded.notices:
        click.echo(f"nightpress: {notice}", err=True)
    return loaded.settings


def _assigned(assignments: tuple[str, ...]) -> dict[str, object]:
    values: dict[str, object] = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise click.UsageError(f"--set {assignment!r} is not NAME=VALUE")
        values[name] = value
    return values
