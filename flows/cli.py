"""The command `nightpress`.

Commands are thin: they read settings, call one function and print its result. What is heavy
(Prefect, FAISS, the web server) is imported by the command that needs it, so that `--help` answers
at once.
"""

import os
from collections.abc import Callable
from pathlib import Path

import click

from flows.console import (
    errors_become_exit_codes,
    set_up_logging,
)
from flows.settings import Settings, load_settings

_EPILOGS = {
    "main": """\b
Examples:
  nightpress plan   --source docs --store ./store
  nightpress run    --source docs --store ./store
  nightpress search "how long is the trial period?" --store ./store
  nightpress serve  --store ./store --port 8080

Exit codes: 0 done, 2 your mistake, 3 stopped by a gate, tripwire or budget, 4 lost a race,
5 the store is unfit or damaged, 1 anything else.""",
    "plan": """\b
Examples:
  nightpress plan --source docs --store ./store
  nightpress plan --source docs --store ./store --json | jq .counts""",
    "run": """\b
Examples:
  nightpress run --source docs --store ./store
  nightpress run --source hr=/mnt/hr --source law=/mnt/law --store ./store --collection office
  nightpress run --source docs --store ./store --full
  nightpress run --source docs --store ./store --set parse_timeout_s=30 --json""",
    "search": """\b
Examples:
  nightpress search "Quelle est la durée de la période d'essai ?" --store ./store
  nightpress search "trial period" --store ./store -k 10 --version 3f9c21 --json""",
    "status": """\b
Examples:
  nightpress status --store ./store
  nightpress status --store ./store --json""",
    "rejected": """\b
Examples:
  nightpress rejected --store ./store
  nightpress run --source docs --store ./store --retry-rejected""",
    "serve": """\b
Examples:
  nightpress serve --store ./store --port 8080
  curl -s localhost:8080/v1/search -d '{"query": "trial period", "k": 3}'""",
}

Command = Callable[..., None]


def _common(command: Command) -> Command:
    """Add the options that every command has."""
    options = (
        click.option("--store", metavar="URL", help="Store: a folder or file:// URL."),
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


_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


def _sourced(command: Command) -> Command:
    """Add the options of commands that look at a source."""
    options = (
        click.option(
            "--source", metavar="DIR", multiple=True, help="Folder of documents, or NAME=DIR."
        ),
        click.option("--include", metavar="GLOB", multiple=True, help="Take only what matches."),
        click.option("--exclude", metavar="GLOB", multiple=True, help="Leave out what matches."),
        click.option("--embedder", metavar="SPEC", help="offline, hashing[:N], llama-index:…"),
        click.option("--full", is_flag=True, default=None, help="Index every document anew."),
        click.option(
            "--retry-rejected", is_flag=True, default=None, help="Try rejected documents again."
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


@click.group(epilog=_EPILOGS["main"], context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="nightpress")
def main() -> None:
    """Re-index a document collection every night and publish a verified, versioned index."""


@main.command(epilog=_EPILOGS["plan"])
@_sourced
@_common
@_json
def plan(as_json: bool, quiet: bool, **flags: object) -> None:
    """Show what a run would do and cost; changes nothing."""
    with errors_become_exit_codes():
        settings = _settings(flags, quiet=quiet)
        from flows.looking import plan_only  # noqa: PLC0415 - loads the store

        plan_only(settings, as_json=as_json)


@main.command(epilog=_EPILOGS["run"])
@_sourced
@_common
@_json
@click.option("--promote/--no-promote", default=None, help="Move production when checks pass.")
def run(as_json: bool, quiet: bool, **flags: object) -> None:
    """Index what changed, check it, publish it, promote it."""
    with errors_become_exit_codes():
        settings = _settings(flags, quiet=quiet)
        from flows.running import run_flow  # noqa: PLC0415 - loads Prefect

        run_flow(settings, as_json=as_json)


@main.command(epilog=_EPILOGS["search"])
@click.argument("question")
@_common
@_json
@click.option("-k", "count", type=click.IntRange(1, 100), default=5, help="Hits at most.")
@click.option("--version", "version", metavar="V", help="Version, or the beginning of one.")
@click.option("--channel", default="production", show_default=True, help="Channel to search.")
def search(
    question: str,
    as_json: bool,
    count: int,
    version: str | None,
    channel: str,
    quiet: bool,
    **flags: object,
) -> None:
    """Ask the published index a question."""
    with errors_become_exit_codes():
        settings = _settings(flags, quiet=quiet)
        from flows.looking import search_once  # noqa: PLC0415 - loads FAISS

        search_once(
            settings, question, count=count, version=version, channel=channel, as_json=as_json
        )


@main.command(epilog=_EPILOGS["status"])
@_common
@_json
def status(as_json: bool, quiet: bool, **flags: object) -> None:
    """Show collections, channels, versions, counts, sizes and age."""
    with errors_become_exit_codes():
        settings = _settings(flags, quiet=quiet)
        from flows.looking import show_status  # noqa: PLC0415 - loads the store

        show_status(settings, only=flags["collection"] is not None, as_json=as_json)


@main.command(epilog=_EPILOGS["rejected"])
@_common
@_json
def rejected(as_json: bool, quiet: bool, **flags: object) -> None:
    """List the documents that are rejected, with their reasons."""
    with errors_become_exit_codes():
        settings = _settings(flags, quiet=quiet)
        from flows.looking import show_rejected  # noqa: PLC0415 - loads the store

        show_rejected(settings, as_json=as_json)


@main.command(epilog=_EPILOGS["serve"])
@_common
@click.option("--host", metavar="ADDRESS", help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on.")
def serve(quiet: bool, **flags: object) -> None:
    """Serve search over HTTP; new versions are picked up without a restart."""
    with errors_become_exit_codes():
        settings = _settings(flags, quiet=quiet)
        from flows.serving import serve_store  # noqa: PLC0415 - loads the web server

        serve_store(settings)


def _settings(flags: dict[str, object], *, quiet: bool) -> Settings:
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


if __name__ == "__main__":
    main()
