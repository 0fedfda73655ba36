"""The commands about versions of a collection; thin, see `flows.cli`."""

import click

from flows.cli_options import common, json_option, read_settings
from flows.console import errors_become_exit_codes

_VERSION = click.argument("version", metavar="V")
_REASON = click.option("--reason", metavar="TEXT", default="", help="Why; kept in the log.")


@click.command(
    epilog="""\b
Examples:
  nightpress versions --store ./store
  nightpress versions --store ./store --json | jq '.versions[0]'"""
)
@common
@json_option
def versions(as_json: bool, quiet: bool, **flags: object) -> None:
    """List the versions that can be opened, the newest first."""
    with errors_become_exit_codes(as_json=as_json):
        settings = read_settings(flags, quiet=quiet)
        from flows.version_commands import show_versions  # noqa: PLC0415 - loads the store

        show_versions(settings, as_json=as_json)


@click.command(
    epilog="""\b
Examples:
  nightpress diff 3f9c21 8a0b4e --store ./store"""
)
@click.argument("first", metavar="V1")
@click.argument("second", metavar="V2")
@common
@json_option
def diff(first: str, second: str, as_json: bool, quiet: bool, **flags: object) -> None:
    """Show what differs between two versions: documents, chunks, embedder, settings."""
    with errors_become_exit_codes(as_json=as_json):
        settings = read_settings(flags, quiet=quiet)
        from flows.version_commands import diff_versions  # noqa: PLC0415 - loads the store

        diff_versions(settings, first, second, as_json=as_json)


@click.command(
    epilog="""\b
Examples:
  nightpress promote 3f9c21 --store ./store
  nightpress promote 3f9c21 --store ./store --override "the golden questions were outdated\""""
)
@_VERSION
@_REASON
@click.option(
    "--override",
    metavar="TEXT",
    default="",
    help="Why a version that a gate blocked goes into production all the same; kept in the log.",
)
@common
@json_option
def promote(
    version: str, reason: str, override: str, as_json: bool, quiet: bool, **flags: object
) -> None:
    """Move production to a version; one that a gate blocked needs --override."""
    with errors_become_exit_codes(as_json=as_json):
        settings = read_settings(flags, quiet=quiet)
        from flows.version_commands import promote_version  # noqa: PLC0415 - loads the store

        promote_version(settings, version, reason=reason, override=override, as_json=as_json)


@click.command(
    epilog="""\b
Examples:
  nightpress rollback --store ./store --reason "wrong prices in last night's import\""""
)
@_REASON
@common
@json_option
def rollback(reason: str, as_json: bool, quiet: bool, **flags: object) -> None:
    """Move production back to the version before; one log record, no data moved."""
    with errors_become_exit_codes(as_json=as_json):
        settings = read_settings(flags, quiet=quiet)
        from flows.version_commands import rollback as roll_back  # noqa: PLC0415 - loads the store

        roll_back(settings, reason=reason, as_json=as_json)


@click.command(
    epilog="""\b
Examples:
  nightpress pin 3f9c21 --name audit-2026 --store ./store"""
)
@_VERSION
@click.option("--name", required=True, metavar="N", help="Name of the pin.")
@common
@json_option
def pin(version: str, name: str, as_json: bool, quiet: bool, **flags: object) -> None:
    """Keep a version under a name, whatever expiry would do."""
    with errors_become_exit_codes(as_json=as_json):
        settings = read_settings(flags, quiet=quiet)
        from flows.version_commands import pin_version  # noqa: PLC0415 - loads the store

        pin_version(settings, version, name, as_json=as_json)


@click.command(
    epilog="""\b
Examples:
  nightpress unpin --name audit-2026 --store ./store"""
)
@click.option("--name", required=True, metavar="N", help="Name of the pin.")
@common
@json_option
def unpin(name: str, as_json: bool, quiet: bool, **flags: object) -> None:
    """Let go of the version that is kept under a name."""
    with errors_become_exit_codes(as_json=as_json):
        settings = read_settings(flags, quiet=quiet)
        from flows.version_commands import unpin_version  # noqa: PLC0415 - loads the store

        unpin_version(settings, name, as_json=as_json)


@click.command(
    epilog="""\b
Examples:
  nightpress verify --store ./store
  nightpress verify 3f9c21 --store ./store --deep --json"""
)
@click.argument("version", metavar="[V]", required=False)
@click.option("--deep", is_flag=True, help="Compare hashes and ask canary questions too.")
@common
@json_option
def verify(version: str | None, deep: bool, as_json: bool, quiet: bool, **flags: object) -> None:
    """Look at every file of one version, or of all; exit code 5 when something is wrong."""
    with errors_become_exit_codes(as_json=as_json):
        settings = read_settings(flags, quiet=quiet)
        from flows.version_commands import verify as verify_versions  # noqa: PLC0415 - loads FAISS

        verify_versions(settings, version, deep=deep, as_json=as_json)


@click.command(
    epilog="""\b
Examples:
  nightpress expire --store ./store            # says what would be deleted
  nightpress expire --store ./store --yes
  nightpress expire --store ./store --yes --keep-last 30 --grace-hours 72"""
)
@click.option("--yes", is_flag=True, help="Do it; without this nothing is changed.")
@click.option(
    "--keep-last",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    help="Newest versions that are kept in any case.",
)
@click.option(
    "--grace-hours",
    type=click.FloatRange(0),
    default=24.0,
    show_default=True,
    help="Nothing younger is retired, nothing retired more recently is deleted.",
)
@common
@json_option
def expire(
    yes: bool, keep_last: int, grace_hours: float, as_json: bool, quiet: bool, **flags: object
) -> None:
    """Forget old versions, and delete what was forgotten a grace period ago."""
    with errors_become_exit_codes(as_json=as_json):
        settings = read_settings(flags, quiet=quiet)
        from flows.version_commands import expire as expire_versions  # noqa: PLC0415 - loads store

        expire_versions(
            settings,
            dry_run=not yes,
            keep_last=keep_last,
            grace_hours=grace_hours,
            as_json=as_json,
        )


VERSION_COMMANDS = (versions, diff, promote, rollback, pin, unpin, verify, expire)
