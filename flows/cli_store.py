"""The commands about a store as a whole; thin, see `flows.cli`."""

from pathlib import Path

import click

from flows.cli_options import common, json_option, read_settings
from flows.console import errors_become_exit_codes


@click.group(
    epilog="""\b
Examples:
  nightpress store check --store ./store"""
)
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
    with errors_become_exit_codes(as_json=as_json):
        settings = read_settings(flags, quiet=quiet)
        from flows.store_commands import check as check_store  # noqa: PLC0415 - loads the store

        check_store(settings, as_json=as_json)


@click.command(
    epilog="""\b
Examples:
  nightpress compact --store ./store --dry-run
  nightpress compact --store ./store
  nightpress compact --store ./store --rebuild-graph --set hnsw_ef_construction=200"""
)
@click.option("--dry-run", is_flag=True, help="Only say what is due, and why.")
@click.option("--rebuild-graph", is_flag=True, help="Rewrite shards built with other settings.")
@common
@json_option
def compact(
    dry_run: bool, rebuild_graph: bool, as_json: bool, quiet: bool, **flags: object
) -> None:
    """Merge small shards and drop dead rows, from stored vectors; nothing is embedded."""
    with errors_become_exit_codes(as_json=as_json):
        settings = read_settings(flags, quiet=quiet)
        from flows.compacting import run_compact  # noqa: PLC0415 - loads FAISS

        run_compact(settings, dry_run=dry_run, rebuild_graph=rebuild_graph, as_json=as_json)


@click.command(
    name="export",
    epilog="""\b
Examples:
  nightpress export 3f9c21 law.nightpress --store ./store
  nightpress export 3f9c21 law.nightpress --store ./store --with-embeddings""",
)
@click.argument("version", metavar="V")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--with-embeddings", is_flag=True, help="Take the stored vectors along.")
@common
@json_option
def export_archive(
    version: str,
    file: Path,
    with_embeddings: bool,
    as_json: bool,
    quiet: bool,
    **flags: object,
) -> None:
    """Write a version into one portable archive, verified."""
    with errors_become_exit_codes(as_json=as_json):
        settings = read_settings(flags, quiet=quiet)
        from flows.store_tools import export_version  # noqa: PLC0415 - loads the store

        export_version(settings, version, file, with_embeddings=with_embeddings, as_json=as_json)


@click.command(
    name="import",
    epilog="""\b
Examples:
  nightpress import law.nightpress --store ./elsewhere
  nightpress import law.nightpress --store ./elsewhere --collection law --promote""",
)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--promote", is_flag=True, help="Move production to it.")
@common
@json_option
def import_version(file: Path, promote: bool, as_json: bool, quiet: bool, **flags: object) -> None:
    """Publish the version of an archive; without --collection under its own collection's name."""
    with errors_become_exit_codes(as_json=as_json):
        named = flags.get("collection")
        settings = read_settings(flags, quiet=quiet)
        from flows.store_tools import import_archive  # noqa: PLC0415 - loads the store

        collection = None if named is None else settings.collection
        import_archive(settings, file, collection=collection, promote=promote, as_json=as_json)


@click.command(
    epilog="""\b
Examples:
  nightpress repair --store ./store
  nightpress repair 3f9c21 --store ./store --accept-loss"""
)
@click.argument("version", metavar="[V]", required=False)
@click.option("--accept-loss", is_flag=True, help="Go into production although chunks are lost.")
@common
@json_option
def repair(
    version: str | None, accept_loss: bool, as_json: bool, quiet: bool, **flags: object
) -> None:
    """Rebuild what is damaged from what is left; nothing is embedded."""
    with errors_become_exit_codes(as_json=as_json):
        settings = read_settings(flags, quiet=quiet)
        from flows.store_tools import repair as repair_store  # noqa: PLC0415 - loads the store

        repair_store(settings, version, accept_loss=accept_loss, as_json=as_json)


@click.command(
    epilog="""\b
Examples:
  nightpress erase people/dupont.pdf --store ./store
  nightpress erase people/dupont.pdf --store ./store --purge --json > certificate.json"""
)
@click.argument("uris", metavar="URI...", nargs=-1, required=True)
@click.option("--purge", is_flag=True, help="Also rewrite every object that held the text.")
@click.option("--source", metavar="DIR", multiple=True, help="Tell whether a source holds it.")
@common
@json_option
def erase(uris: tuple[str, ...], purge: bool, as_json: bool, quiet: bool, **flags: object) -> None:
    """Publish at once without documents; with --purge their bytes leave the store."""
    with errors_become_exit_codes(as_json=as_json):
        settings = read_settings(flags, quiet=quiet)
        from flows.store_tools import erase as erase_documents  # noqa: PLC0415 - loads the store

        erase_documents(settings, uris, purge=purge, as_json=as_json)


STORE_COMMANDS: tuple[click.Command, ...] = (
    store,
    compact,
    export_archive,
    import_version,
    repair,
    erase,
)
