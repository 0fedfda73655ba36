"""The commands for bad days: export, import, repair, erase.

Invariant: with `as_json` standard output holds one JSON object and nothing else.
"""

from dataclasses import asdict
from pathlib import Path

import click

from flows.console import print_json, visible
from flows.run_settings import new_run_id
from flows.settings import Settings
from index_store.clock import system_clock_ms
from index_store.collections import check_format
from index_store.errors import CorruptArtifactError
from index_store.exporting import export_version as write_archive
from index_store.importing import import_archive as read_archive
from index_store.log import CommitLog
from index_store.log_records import CANDIDATE, PRODUCTION, resolve_version
from index_store.repair import RepairReport
from index_store.repair import repair as repair_version
from index_store.storage.opening import open_storage
from index_store.storage.verdicts import ensure_fit
from tasks.stages import erasing
from tasks.stages.erasure_report import ErasureReport, PurgeReport, purge_and_certify
from tasks.stages.listing import parse_sources
from tasks.stages.run_files import remove_run

SHOWN = 20


def export_version(
    settings: Settings, version: str | None, file: Path, *, with_embeddings: bool, as_json: bool
) -> None:
    """Write a version into one portable archive.

    Args:
        settings: Store and collection.
        version: Version, or the beginning of one; None for production.
        file: The archive to make.
        with_embeddings: Whether stored vectors go along.
        as_json: Whether to print one JSON object.
    """
    storage = open_storage(settings.store)
    check_format(storage, settings.collection)
    state = CommitLog(storage, settings.collection).read()
    channel = PRODUCTION if PRODUCTION in state.channels else CANDIDATE
    published = resolve_version(state, version=version, channel=channel)
    header = write_archive(storage, published, file, with_embeddings=with_embeddings)
    size_bytes = file.stat().st_size
    if as_json:
        print_json(
            {
                "version": header.version,
                "collection": header.collection,
                "file": str(file),
                "size_bytes": size_bytes,
                "files": len(header.files),
                "embedding_parts": len(header.embeddings),
            }
        )
        return
    click.echo(
        f"version {header.version[:12]} of {header.collection} is in {visible(str(file))}: "
        f"{len(header.files)} files, {size_bytes / (1 << 20):.1f} MiB, read back and verified"
    )


def import_archive(
    settings: Settings, file: Path, *, collection: str | None, promote: bool, as_json: bool
) -> None:
    """Publish the version of an archive.

    Args:
        settings: The store.
        file: The archive.
        collection: Collection to publish in; None for the one it was exported from.
        promote: Whether production moves to it.
        as_json: Whether to print one JSON object.
    """
    storage = open_storage(settings.store)
    ensure_fit(storage, single_writer=settings.single_writer)
    done = read_archive(
        storage, file, collection=collection, move_production=promote, run=new_run_id()
    )
    if as_json:
        print_json(asdict(done))
        return
    known = "was there already" if done.already else "is imported"
    click.echo(f"version {done.version[:12]} {known} in collection {done.collection}")
    if done.version != done.origin:
        click.echo(f"it was exported as {done.origin[:12]}")
    if done.promoted:
        click.echo("production points to it")
    else:
        click.echo(f"serve it: nightpress promote {done.version[:12]}")


def repair(settings: Settings, version: str | None, *, accept_loss: bool, as_json: bool) -> None:
    """Rebuild what can be rebuilt of a version.

    Args:
        settings: Store and collection.
        version: Version, or the beginning of one; None for production.
        accept_loss: Whether production moves although chunks are lost.
        as_json: Whether to print one JSON object.
    """
    report = repair_version(
        open_storage(settings.store),
        settings.collection,
        version=version,
        accept_loss=accept_loss,
        run=new_run_id(),
    )
    if as_json:
        print_json({**asdict(report), "was_whole": report.was_whole})
    else:
        _print_repair(report)


def erase(settings: Settings, uris: tuple[str, ...], *, purge: bool, as_json: bool) -> None:
    """Take documents out of what is served, and with `purge` out of the store.

    Args:
        settings: Store and collection; the sources, when they are set, are looked at too.
        uris: The documents.
        purge: Whether their bytes go too, from every object that holds them.
        as_json: Whether to print one JSON object; with `purge` it is the certificate.

    Raises:
        NotFoundError: A document is not in the version that is served.
        CorruptArtifactError: Something is left after a purge.
    """
    storage, collection = open_storage(settings.store), settings.collection
    uris = tuple(sorted(set(uris)))
    if not purge:  # a purge may be repeated after it was broken off
        erasing.check_known(storage, collection, uris)
    run, at_ms = new_run_id(), system_clock_ms()
    erased = erasing.erase(storage, collection, uris, run=run, created_at_ms=at_ms)
    purged = None
    if purge:
        purged = purge_and_certify(storage, collection, uris, run=run, created_at_ms=at_ms)
        remove_run(storage, collection, run)
    report = ErasureReport(
        store=storage.url,
        collection=collection,
        uris=uris,
        at_ms=at_ms,
        erased=erased,
        purge=purged,
    )
    sources = parse_sources(settings.source) if settings.source else ()
    held = erasing.still_in_source(sources, uris)
    holders = erasing.holders(storage, collection, uris)
    if as_json:
        seen = {"still_in_source": held, "source_seen": bool(sources), "held_by": list(holders)}
        print_json({**report.as_json(), **seen})
    else:
        _print_erasure(report)
        for holder in holders:
            click.echo(f"{holder} still holds a version with them; move or unpin it")
        _print_source(held, seen=bool(sources))
    if purged is not None and not purged.certificate.clean:
        raise CorruptArtifactError(
            f"{len(purged.certificate.found)} objects still hold something, first "
            f"{purged.certificate.found[0].key}; erase again"
        )


def _print_repair(report: RepairReport) -> None:
    if report.was_whole:
        click.echo(f"version {report.version[:12]} is whole; nothing was done")
        return
    for key in report.restored:
        click.echo(f"restored {key}")
    for line in report.rebuilt:
        click.echo(f"rebuilt {line}")
    for line in report.lost:
        click.echo(f"lost for good: {visible(line)}")
    if report.repaired is None:
        click.echo(f"version {report.version[:12]} is whole again")
        return
    state = "is in production" if report.promoted else "is a candidate"
    click.echo(f"repaired as version {report.repaired[:12]}, which {state}")
    if not report.promoted:
        click.echo(
            f"production is as it was; to serve what is left: nightpress promote "
            f"{report.repaired[:12]}, then nightpress run indexes what is missing"
        )


def _print_erasure(report: ErasureReport) -> None:
    erased = report.erased
    if erased.documents:
        state = "is in production" if erased.promoted else "is a candidate"
        click.echo(
            f"erased {erased.documents} documents, {erased.chunks} chunks; "
            f"version {report.version[:12]} without them {state}"
        )
    else:
        click.echo("no document of the version that is served has such a name")
    if report.purge is None:
        click.echo(
            "their bytes stay in older versions until expiry, and a rollback serves them again; "
            "--purge removes them now"
        )
    else:
        _print_purge(report.purge)


def _print_source(held: dict[str, str], *, seen: bool) -> None:
    for uri, glob in list(held.items())[:SHOWN]:
        click.echo(
            f"{visible(uri)} is still in the source: the next run indexes it again unless it is "
            f"removed there or left out with --exclude {visible(glob)!r}"
        )
    if not seen:
        click.echo("no source is set: if one still holds a document, the next run indexes it again")


def _print_purge(report: PurgeReport) -> None:
    purged, certificate = report.purged, report.certificate
    click.echo(
        f"purged {len(purged.keys)} objects of {len(purged.versions)} versions and "
        f"{purged.vectors} embeddings"
    )
    verdict = "nothing is left" if certificate.clean else f"{len(certificate.found)} are NOT clean"
    click.echo(
        f"looked at {certificate.objects} objects, {certificate.size_bytes} bytes, "
        f"{certificate.rows} rows: {verdict}"
    )
    for found in certificate.found[:SHOWN]:
        click.echo(f"  {found.key} holds {found.what}")
    kept = len(purged.traces.shared)
    if kept:
        click.echo(f"{kept} of their texts stay, because living documents have them too")
    click.echo("not covered: the source, readers' caches, exports, backups, logs; see --json")
