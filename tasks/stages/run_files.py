"""Listing and plan of a run as files in the store, so that tasks hand over keys alone.

Invariants: plain JSON; paths survive even when their bytes are not UTF-8; the folder of a run is
removed when the run has ended well, and what a killed run left is removed after a grace period.
"""

import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import orjson

from index_store.artifacts import read_artifact
from index_store.layout import run_key
from index_store.records import DocumentRecord
from index_store.relocations import decode_relocations
from index_store.storage.base import Storage
from tasks.stages.diffing import Action, Plan, PlanItem
from tasks.stages.listing import ListedFile, Listing, Skipped
from tasks.stages.planning import Planned

GRACE_MS = 24 * 3600 * 1000  # a run that left nothing new for a day is not coming back


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPlan:
    """What later stages need of a plan.

    Attributes:
        plan: Without the documents that are kept as they are.
        base: Version that the run builds on, or None.
        channels: Where the channels pointed when it was planned.
        kept: Documents that are kept as they are.
        skipped: Entries of the sources that are no documents.
        chunker: Identity of the chunker of the version.
        avoid: Ids that a new shard must not take: of retired shards, and of shards of the base
            with rows that go by another name.
    """

    plan: Plan
    base: str | None
    channels: dict[str, str]
    kept: int
    skipped: tuple[Skipped, ...]
    chunker: str = ""
    avoid: frozenset[str] = frozenset()


def write_listing(storage: Storage, collection: str, run: str, listing: Listing) -> str:
    """Store a listing and return its key."""
    key = run_key(collection, run, "listing.json")
    body = {
        "files": [
            [
                file.uri,
                _hidden(file.path),
                file.size_bytes,
                file.mtime_ns,
                *(
                    [[_hidden(each) for each in file.sidecars], file.described]
                    * bool(file.described)
                ),
            ]
            for file in listing.files
        ],
        "skipped": [[entry.uri, entry.reason] for entry in listing.skipped],
        "ignored": listing.ignored,
    }
    storage.put(key, orjson.dumps(body))
    return key


def read_listing(storage: Storage, key: str) -> Listing:
    """Read a listing back."""
    body = orjson.loads(storage.read(key))
    return Listing(
        files=tuple(
            ListedFile(
                uri=uri,
                path=_shown(path),
                size_bytes=size_bytes,
                mtime_ns=mtime_ns,
                sidecars=tuple(_shown(each) for each in sidecars[0]) if sidecars else (),
                described=sidecars[1] if sidecars else "",
            )
            for uri, path, size_bytes, mtime_ns, *sidecars in body["files"]
        ),
        skipped=tuple(Skipped(uri=uri, reason=reason) for uri, reason in body["skipped"]),
        ignored=body["ignored"],
    )


def write_plan(storage: Storage, collection: str, run: str, planned: Planned) -> str:
    """Store what later stages need of a plan and return its key."""
    key = run_key(collection, run, "plan.json")
    known = planned.known
    told = [item for item in planned.plan.items if not _is_untouched(item, known.get(item.uri))]
    body = {
        "items": [
            {**asdict(item), "path": "", "sidecars": (), "action": item.action.value}
            for item in told
        ],
        "rebuild": planned.plan.rebuild,
        "known": planned.plan.known,
        "base": planned.base.version,
        "channels": dict(planned.base.state.channels),
        "kept": planned.plan.counts()[Action.KEPT.value],
        "skipped": [[entry.uri, entry.reason] for entry in planned.listing.skipped],
        "chunker": planned.chunker,
        "avoid": sorted(_shards_to_avoid(planned)),
    }
    storage.put(key, orjson.dumps(body))
    return key


def read_plan(storage: Storage, key: str) -> StoredPlan:
    """Read a plan back."""
    body = orjson.loads(storage.read(key))
    items = tuple(
        PlanItem(**{**item, "sidecars": (), "action": Action(item["action"])})
        for item in body["items"]
    )
    return StoredPlan(
        plan=Plan(items=items, rebuild=body["rebuild"], known=body["known"]),
        base=body["base"],
        channels=body["channels"],
        kept=body["kept"],
        skipped=tuple(Skipped(uri=uri, reason=reason) for uri, reason in body["skipped"]),
        chunker=body["chunker"],
        avoid=frozenset(body["avoid"]),
    )


def remove_run(storage: Storage, collection: str, run: str) -> None:
    """Remove the folder of a run."""
    _remove(storage, [entry.key for entry in storage.list(run_key(collection, run, ""))])


def remove_stale_runs(storage: Storage, collection: str, *, now_ms: int) -> None:
    """Remove the folders of runs that left nothing new within the grace period."""
    newest: dict[str, int] = {}
    keys: dict[str, list[str]] = {}
    prefix = f"{collection}/runs/"
    for entry in storage.list(prefix):
        run = entry.key.removeprefix(prefix).split("/", 1)[0]
        newest[run] = max(newest.get(run, 0), entry.modified_ms)
        keys.setdefault(run, []).append(entry.key)
    for run, modified_ms in newest.items():
        if modified_ms < now_ms - GRACE_MS:
            _remove(storage, keys[run])


def _remove(storage: Storage, keys: Iterable[str]) -> None:
    for key in keys:
        storage.delete(key)


def _shards_to_avoid(planned: Planned) -> frozenset[str]:
    retired = planned.base.state.forbidden_shards
    manifest = planned.base.manifest
    if planned.plan.rebuild or manifest is None or manifest.relocations is None:
        return retired
    artifact = manifest.relocations
    moved = decode_relocations(read_artifact(planned.base.storage, artifact), artifact.key)
    return retired | {relocation.shard for relocation in moved}


def _hidden(path: str) -> str:
    return os.fsencode(path).hex()


def _shown(hidden: str) -> str:
    return os.fsdecode(bytes.fromhex(hidden))


def _is_untouched(item: PlanItem, record: DocumentRecord | None) -> bool:
    if item.action is not Action.KEPT or record is None:
        return False
    return (item.size_bytes, item.mtime_ns) == (record.size_bytes, record.mtime_ns)
