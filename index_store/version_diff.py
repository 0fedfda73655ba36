"""What differs between two versions of a collection; pure.

Invariant: a document is compared by the content that serves; one that is rejected and serves
nothing counts as absent.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from index_store.manifest import Manifest
from index_store.records import DocumentRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentDiff:
    """Documents that differ, each list sorted.

    Attributes:
        added: Names that only the second version has.
        changed: Names whose content differs.
        moved: Pairs of the name in the first and in the second version, with equal content.
        removed: Names that only the first version has.
        same: Number of documents that are the same in both.
    """

    added: tuple[str, ...]
    changed: tuple[str, ...]
    moved: tuple[tuple[str, str], ...]
    removed: tuple[str, ...]
    same: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A named fact that differs; None where a version lacks it."""

    name: str
    before: str | None
    after: str | None


def diff_documents(
    before: Iterable[DocumentRecord], after: Iterable[DocumentRecord]
) -> DocumentDiff:
    """Compare two catalogs.

    Args:
        before: Lines of the first version's catalog.
        after: Lines of the second version's catalog.
    """
    old, new = _contents(before), _contents(after)
    gone, come = sorted(old.keys() - new.keys()), sorted(new.keys() - old.keys())
    both = old.keys() & new.keys()
    changed = tuple(sorted(uri for uri in both if old[uri] != new[uri]))
    moved = _moves(gone, come, old, new)
    left, arrived = {pair[0] for pair in moved}, {pair[1] for pair in moved}
    return DocumentDiff(
        added=tuple(uri for uri in come if uri not in arrived),
        changed=changed,
        moved=moved,
        removed=tuple(uri for uri in gone if uri not in left),
        same=len(both) - len(changed),
    )


def diff_manifests(before: Manifest, after: Manifest) -> tuple[Difference, ...]:
    """Compare embedder, chunker, graphs and settings of two versions."""
    old, new = _facts(before), _facts(after)
    return tuple(
        Difference(name=name, before=old.get(name), after=new.get(name))
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    )


def _contents(records: Iterable[DocumentRecord]) -> dict[str, str]:
    return {
        record.uri: record.indexed_hash for record in records if record.indexed_hash is not None
    }


def _moves(
    gone: list[str], come: list[str], old: Mapping[str, str], new: Mapping[str, str]
) -> tuple[tuple[str, str], ...]:
    """Pair names that went with names that came, in order, when their contents are equal."""
    waiting: dict[str, list[str]] = defaultdict(list)
    for uri in reversed(gone):
        waiting[old[uri]].append(uri)
    return tuple((waiting[new[uri]].pop(), uri) for uri in come if waiting.get(new[uri]))


def _facts(manifest: Manifest) -> dict[str, str]:
    facts = {f"embedder.{name}": str(value) for name, value in asdict(manifest.embedder).items()}
    facts["chunker"] = manifest.chunker
    graphs = {
        f"m {shard.hnsw.m}, ef_construction {shard.hnsw.ef_construction}, "
        f"ef_search {shard.ef_search}, storage {shard.storage}"
        for shard in manifest.shards
    }
    facts["shards"] = "; ".join(sorted(graphs))
    return facts | {f"settings.{name}": str(value) for name, value in manifest.settings.items()}
