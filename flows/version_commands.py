"""The commands about versions: list, compare, promote, roll back, pin, verify, expire.

Invariant: with `as_json` standard output holds one JSON object and nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime

import click

from flows.console import print_json, print_table, visible
from flows.settings import Settings
from index_store import publisher
from index_store.catalog_files import load_catalog
from index_store.clock import system_clock_ms
from index_store.collections import check_format, load_manifest
from index_store.collector import PassResult, preview, purge_pass, retire_pass
from index_store.errors import CorruptArtifactError, StoppedError
from index_store.log import CommitLog
from index_store.log_records import PRODUCTION, LogState, PublishedVersion, resolve_version
from index_store.manifest import Manifest
from index_store.publisher import FAILED_CHECKS
from index_store.retention import ExpiryPlan, FoundObject, RetentionPolicy
from index_store.storage.base import Storage
from index_store.storage.opening import open_storage
from index_store.verification import Verification, verify_collection
from index_store.version_diff import DocumentDiff, diff_documents, diff_manifests

SHOWN_ITEMS = 50
SHORT = 12  # characters of a version in tables


def show_versions(settings: Settings, *, as_json: bool) -> None:
    """Print the versions that can be opened, the newest first."""
    storage, log = _open(settings)
    state = log.read()
    newest_first = list(state.versions.values())[::-1]
    manifests = [load_manifest(storage, published) for published in newest_first]
    if as_json:
        rows = [
            _version_object(state, published, manifest)
            for published, manifest in zip(newest_first, manifests, strict=True)
        ]
        print_json({"collection": settings.collection, "versions": rows})
        return
    if not newest_first:
        click.echo("no version is published yet")
        return
    head = ("version", "published", "run", "parent", "documents", "chunks", "size", "held by")
    print_table(
        head,
        [
            _version_row(state, published, manifest)
            for published, manifest in zip(newest_first, manifests, strict=True)
        ],
    )


def diff_versions(settings: Settings, first: str, second: str, *, as_json: bool) -> None:
    """Print what differs between two versions, given by the beginnings of their ids."""
    storage, log = _open(settings)
    state = log.read()
    before, after = (resolve_version(state, version=each) for each in (first, second))
    manifests = load_manifest(storage, before), load_manifest(storage, after)
    documents = diff_documents(
        load_catalog(storage, manifests[0]).records(),
        load_catalog(storage, manifests[1]).records(),
    )
    facts = diff_manifests(*manifests)
    chunks = {
        "before": manifests[0].counts.chunks_live,
        "after": manifests[1].counts.chunks_live,
    }
    if as_json:
        print_json(
            {
                "first": before.version,
                "second": after.version,
                "documents": asdict(documents),
                "chunks": chunks,
                "facts": [asdict(fact) for fact in facts],
            }
        )
        return
    click.echo(f"from {before.version[:SHORT]} to {after.version[:SHORT]}")
    _print_documents(documents)
    click.echo(f"chunks: {chunks['before']} before, {chunks['after']} after")
    if facts:
        rows = [(fact.name, fact.before or "none", fact.after or "none") for fact in facts]
        print_table(("setting", "before", "after"), rows)


def promote_version(
    settings: Settings, version: str, *, reason: str = "", override: str = "", as_json: bool
) -> None:
    """Move production to a version; one that a gate blocked only with an override.

    Raises:
        StoppedError: A gate blocked the version and there is no override.
    """
    _, log = _open(settings)
    state = log.read()
    published = resolve_version(state, version=version)
    blocked = log.record(published.seq).change.reason
    told = reason.strip() or "asked for"
    if blocked.startswith(FAILED_CHECKS):
        if not override.strip():
            raise StoppedError(
                f"version {published.version[:SHORT]} was blocked ({blocked}); "
                "say why it shall go into production all the same: --override TEXT"
            )
        told = f"override: {override.strip()} ({blocked})"
    done = publisher.promote(log, published.version, reason=told, expected=state)
    _tell_production(state, done.state, as_json=as_json)


def rollback(settings: Settings, *, reason: str, as_json: bool) -> None:
    """Move production back to the version it was promoted from."""
    _, log = _open(settings)
    before = log.read()
    done = publisher.rollback(log, reason=reason or "asked for")
    _tell_production(before, done.state, as_json=as_json)


def pin_version(settings: Settings, version: str, name: str, *, as_json: bool) -> None:
    """Keep a version under a name, whatever expiry would do."""
    _, log = _open(settings)
    done = publisher.pin(log, version, name)
    if as_json:
        print_json({"pin": name, "version": done.version})
    else:
        click.echo(f"pin {name} holds {done.version}")


def unpin_version(settings: Settings, name: str, *, as_json: bool) -> None:
    """Let go of the version that is kept under a name."""
    _, log = _open(settings)
    done = publisher.unpin(log, name)
    if as_json:
        print_json({"pin": name, "version": None, "held": done.version})
    else:
        click.echo(f"pin {name} is free; it held {done.version}")


def verify(settings: Settings, version: str | None, *, deep: bool, as_json: bool) -> None:
    """Look at every file of one version, or of all, and print every problem.

    Raises:
        CorruptArtifactError: There are problems.
    """
    storage = open_storage(settings.store)
    found = verify_collection(storage, settings.collection, version=version, deep=deep)
    if as_json:
        print_json(asdict(found))
    else:
        _print_verification(found)
    if found.problems:
        raise CorruptArtifactError(
            f"collection {settings.collection}: {len(found.problems)} problems found"
        )


def expire(
    settings: Settings, *, dry_run: bool, keep_last: int, grace_hours: float, as_json: bool
) -> None:
    """Delete what was retired before, and retire what is not kept; or only say what would be.

    Args:
        settings: Store and collection.
        dry_run: Whether nothing is done.
        keep_last: Newest versions that are kept in any case.
        grace_hours: Nothing younger is retired, nothing retired more recently is deleted.
        as_json: Whether one JSON object is printed.
    """
    policy = RetentionPolicy(keep_last=keep_last, grace_ms=round(grace_hours * 3_600_000))
    storage, log = _open(settings)
    if dry_run:
        _print_plan(preview(storage, log, policy, clock_ms=system_clock_ms), as_json=as_json)
        return
    purged = purge_pass(storage, log, policy)
    retired = retire_pass(storage, log, policy)
    _print_expired(purged, retired, as_json=as_json)


def _open(settings: Settings) -> tuple[Storage, CommitLog]:
    storage = open_storage(settings.store)
    check_format(storage, settings.collection)
    return storage, CommitLog(storage, settings.collection)


def _version_object(
    state: LogState, published: PublishedVersion, manifest: Manifest
) -> dict[str, object]:
    counts = manifest.counts
    return {
        "version": published.version,
        "published_at_ms": published.published_at_ms,
        "run": published.run,
        "parent": published.parent,
        "documents": counts.documents,
        "rejected": counts.rejected,
        "chunks": counts.chunks_live,
        "dead_chunks": counts.chunks_dead,
        "size_bytes": _size_bytes(published, manifest),
        "shards": len(manifest.shards),
        "channels": _names_of(state.channels, published.version),
        "pins": _names_of(state.pins, published.version),
        "rollback_target": published.version in state.history.get(PRODUCTION, ())[-1:],
    }


def _version_row(
    state: LogState, published: PublishedVersion, manifest: Manifest
) -> tuple[str, ...]:
    version = published.version
    pins = [f"pin {name}" for name in _names_of(state.pins, version)]
    return (
        version[:SHORT],
        _time(published.published_at_ms),
        published.run,
        "none" if published.parent is None else published.parent[:SHORT],
        str(manifest.counts.documents),
        str(manifest.counts.chunks_live),
        _mib(_size_bytes(published, manifest)),
        ", ".join([*_names_of(state.channels, version), *pins]) or "nothing",
    )


def _names_of(holders: Mapping[str, str], version: str) -> list[str]:
    return sorted(name for name, held in holders.items() if held == version)


def _size_bytes(published: PublishedVersion, manifest: Manifest) -> int:
    sizes = {artifact.key: artifact.size_bytes for artifact in manifest.artifacts}
    return published.manifest.size_bytes + sum(sizes.values())


def _tell_production(before: LogState, after: LogState, *, as_json: bool) -> None:
    previous, version = before.channels.get(PRODUCTION), after.channels[PRODUCTION]
    if as_json:
        print_json({"channel": PRODUCTION, "version": version, "previous": previous})
    elif previous == version:
        click.echo(f"production is {version} already")
    else:
        click.echo(f"production is {version}; it was {previous or 'nothing'}")


def _print_documents(documents: DocumentDiff) -> None:
    rows = [
        *[("added", uri) for uri in documents.added],
        *[("changed", uri) for uri in documents.changed],
        *[("moved", f"{old} to {new}") for old, new in documents.moved],
        *[("removed", uri) for uri in documents.removed],
    ]
    click.echo(
        f"documents: {len(documents.added)} added, {len(documents.changed)} changed, "
        f"{len(documents.moved)} moved, {len(documents.removed)} removed, {documents.same} same"
    )
    for action, what in rows[:SHOWN_ITEMS]:
        click.echo(f"  {action}  {visible(what)}")
    if len(rows) > SHOWN_ITEMS:
        click.echo(f"  … and {len(rows) - SHOWN_ITEMS} more; --json lists all")


def _print_verification(found: Verification) -> None:
    depth = "every byte" if found.deep else "sizes; --deep reads every byte"
    click.echo(
        f"{len(found.versions)} versions, {found.artifacts} files, {_mib(found.size_bytes)} "
        f"({depth}): {len(found.problems)} problems"
    )
    for problem in found.problems:
        where = "log" if problem.version is None else problem.version[:SHORT]
        click.echo(f"  {where}: {visible(problem.message)}")


def _print_plan(plan: ExpiryPlan, *, as_json: bool) -> None:
    if as_json:
        print_json({"dry_run": True, **asdict(plan)})
        return
    rows = [(version[:SHORT], "keep", why) for version, why in plan.kept.items()]
    rows += [(version[:SHORT], "retire", "not kept by any rule") for version in plan.versions]
    print_table(("version", "would", "why"), rows)
    click.echo(f"would retire {_amount(plan.retire)}, deleted after the grace by a later expire")
    click.echo(f"would delete {_amount(plan.delete)} retired before the grace")
    click.echo(f"would delete {_amount(plan.stale)} of runs that did not come back")
    click.echo(f"waiting for the end of their grace: {_amount(plan.waiting)}")
    click.echo("stored embeddings are never expired; nothing was done, --yes does it")


def _print_expired(purged: PassResult, retired: PassResult, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "dry_run": False,
                "versions": list(retired.versions),
                "retired": [asdict(found) for found in retired.retired],
                "deleted": [asdict(found) for found in purged.deleted],
                "uploads": purged.uploads,
            }
        )
        return
    for version in retired.versions:
        click.echo(f"retired version {version}")
    click.echo(f"retired {_amount(retired.retired)}; a later expire deletes them")
    click.echo(f"deleted {_amount(purged.deleted)} and {purged.uploads} interrupted writes")


def _amount(objects: Sequence[FoundObject]) -> str:
    return f"{len(objects)} objects, {_mib(sum(found.size_bytes for found in objects))}"


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / (1 << 20):.1f} MiB"


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
