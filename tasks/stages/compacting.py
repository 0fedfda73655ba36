"""Decide which shards are rewritten, so that a search asks few of them and each answers well.

A night leaves a small shard and dead rows in older ones. Four rules, in this order:

1. recall: a shard whose graph fell below the gate through deletions, and that was above it when it
   was built, is rewritten; until then it is searched exactly. At least `recall_dead_share` of its
   rows are dead, so that deletions pay for it.
2. dead rows: a shard with `dead_share` dead rows or more is rewritten.
3. tiers: shards are of one tier when their live rows lie between the same two powers of `fan_in`.
   When `fan_in` of them are, they become one shard of the next tier.
4. number: when more than `max_small` shards are left that are smaller than half a full one, the
   smallest are merged.

Bounds that follow: at most `max_small` shards and 2 x rows / `max_rows` full ones; a row is
rewritten at most once per tier by rule 3, from the tier of a night to that of a full shard, and a
dead row has (1 - dead_share) / dead_share others rewritten by rule 2. Random deletions leave a
graph as good as it was; clustered ones ruin it long before a share does, hence rule 1.

Invariants: pure; a shard is in one merge at most; the same shards give the same plan.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from math import ceil

from index_store.errors import UsageError
from index_store.lexical.analysis import ANALYSIS
from index_store.manifest import HnswSettings, ShardEntry


class Cause(Enum):
    """Why shards are rewritten."""

    RECALL = "recall below its gate"
    DEAD = "dead rows"
    TIER = "shards of one size"
    NUMBER = "too many small shards"
    REBUILD = "other settings"


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactOptions:
    """Bounds of compaction.

    Attributes:
        max_rows: Rows of a shard at most; one of half as many is full and never merged.
        fan_in: Shards of one tier that are merged into one, at least 2.
        max_small: Shards that are not full, at most; at least 1.
        dead_share: Share of dead rows from which a shard is rewritten, in (0, 1].
        recall_dead_share: Share of dead rows below which recall alone rewrites nothing.
        least_recall: The gate of recall.
    """

    max_rows: int = 500_000
    fan_in: int = 4
    max_small: int = 12
    dead_share: float = 0.3
    recall_dead_share: float = 0.01
    least_recall: float = 0.95

    def __post_init__(self) -> None:
        """Check the bounds.

        Raises:
            UsageError: A number is out of its bounds.
        """
        for name, value, lowest, highest in (
            ("max_rows", self.max_rows, 1, 1_000_000_000),
            ("fan_in", self.fan_in, 2, 64),
            ("max_small", self.max_small, 1, 1000),
            ("dead_share", self.dead_share, 0.001, 1.0),
            ("recall_dead_share", self.recall_dead_share, 0.0, 1.0),
            ("least_recall", self.least_recall, 0.0, 1.0),
        ):
            if not lowest <= value <= highest:
                raise UsageError(f"{name} must be in [{lowest}, {highest}], found {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """Shards whose live rows go into new ones.

    Attributes:
        shards: Their ids, in the order of the version.
        rows: Their live rows.
        parts: New shards to make of them; 0 when no row is live.
        causes: Why, at least one.
    """

    shards: tuple[str, ...]
    rows: int
    parts: int
    causes: tuple[Cause, ...]

    @property
    def reason(self) -> str:
        """Why, for a person."""
        told = ", ".join(cause.value for cause in self.causes)
        return f"{len(self.shards)} shards, {self.rows} live rows: {told}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactionPlan:
    """What a compaction will do, before it does anything.

    Attributes:
        merges: What is rewritten, in the order of the version.
        kept: Ids of the shards that stay as they are.
    """

    merges: tuple[Merge, ...]
    kept: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Whether nothing is due."""
        return not self.merges

    @property
    def rows(self) -> int:
        """Rows that will be written."""
        return sum(merge.rows for merge in self.merges)

    @property
    def shards_after(self) -> int:
        """Shards that the version will have."""
        return len(self.kept) + sum(merge.parts for merge in self.merges)


@dataclass(slots=True)
class _Group:
    """Shards that will be one; grows while the rules are applied."""

    members: list[int]
    live: int
    causes: list[Cause] = field(default_factory=list)


def plan_compaction(shards: Sequence[ShardEntry], options: CompactOptions) -> CompactionPlan:
    """Decide what is due.

    Args:
        shards: Shards of a version, in its order.
        options: The bounds.

    Returns:
        The plan; applying it makes every bound hold.
    """
    groups = [_judged(number, entry, options) for number, entry in enumerate(shards)]
    full = [group for group in groups if 2 * group.live >= options.max_rows]
    small = [group for group in groups if 2 * group.live < options.max_rows]
    grown, small = _merge_tiers(small, options)
    small = _merge_smallest(small, options)
    return _plan(shards, [*full, *grown, *small], options)


def compaction_due(shards: Sequence[ShardEntry], options: CompactOptions) -> tuple[str, ...]:
    """Return why a version should be compacted, one line per merge; none when it need not be."""
    plan = plan_compaction(shards, options)
    return tuple(f"compaction is due: {merge.reason}" for merge in plan.merges)


def plan_rebuild(
    shards: Sequence[ShardEntry], hnsw: HnswSettings, storage: str, options: CompactOptions
) -> CompactionPlan:
    """Decide what has to be rewritten so that every shard has these settings and the newest files.

    Args:
        shards: Shards of a version, in its order.
        hnsw: Settings of the graph.
        storage: How vectors are stored.
        options: The bounds.

    Returns:
        A plan that rewrites each shard with other settings by itself.
    """
    groups = []
    for number, entry in enumerate(shards):
        differs = (entry.hnsw, entry.storage) != (hnsw, storage)
        analysis = None if entry.lexical is None else entry.lexical.analysis
        differs = differs or entry.documents is None or analysis != ANALYSIS
        causes = [Cause.REBUILD] if differs else []
        groups.append(_Group([number], entry.live, causes))
    return _plan(shards, groups, options)


def _judged(number: int, entry: ShardEntry, options: CompactOptions) -> _Group:
    causes = []
    share = entry.dead / entry.rows
    if _fell_below(entry, options) and share >= options.recall_dead_share:
        causes.append(Cause.RECALL)
    if share >= options.dead_share:
        causes.append(Cause.DEAD)
    return _Group([number], entry.live, causes)


def _fell_below(entry: ShardEntry, options: CompactOptions) -> bool:
    search = entry.search
    if search is None or search.recall >= options.least_recall:
        return False
    # A graph that was no better when it was new would be no better again.
    return search.built_recall is None or search.built_recall >= options.least_recall


def _merge_tiers(
    groups: Sequence[_Group], options: CompactOptions
) -> tuple[list[_Group], list[_Group]]:
    """Merge what is of one tier, from the smallest tier up.

    Returns:
        Groups that became full, and those that did not.
    """
    tiers: dict[int, list[_Group]] = defaultdict(list)
    for group in groups:
        tiers[_tier(group.live, options.fan_in)].append(group)
    grown: list[_Group] = []
    left: list[_Group] = []
    while tiers:
        lowest = min(tiers)
        members = tiers.pop(lowest)
        if len(members) < options.fan_in:
            left += members
            continue
        merged = _joined(members, Cause.TIER)
        if 2 * merged.live >= options.max_rows:
            grown.append(merged)
        else:
            tiers[max(lowest + 1, _tier(merged.live, options.fan_in))].append(merged)
    return grown, left


def _tier(live: int, fan_in: int) -> int:
    tier, bound = 0, fan_in
    while bound <= live:
        tier, bound = tier + 1, bound * fan_in
    return tier


def _merge_smallest(groups: Sequence[_Group], options: CompactOptions) -> list[_Group]:
    ordered = sorted(groups, key=lambda group: (group.live, group.members))
    excess = len(ordered) - options.max_small
    if excess <= 0:
        return ordered
    # As many more as a tier takes, so that this is not due again the next night.
    count = min(len(ordered), max(excess + 1, options.fan_in))
    return [_joined(ordered[:count], Cause.NUMBER), *ordered[count:]]


def _joined(groups: Sequence[_Group], cause: Cause) -> _Group:
    causes = [each for group in groups for each in group.causes]
    return _Group(
        members=sorted(number for group in groups for number in group.members),
        live=sum(group.live for group in groups),
        causes=[*causes, cause],
    )


def _plan(
    shards: Sequence[ShardEntry], groups: Sequence[_Group], options: CompactOptions
) -> CompactionPlan:
    merges = []
    kept = []
    for group in sorted(groups, key=lambda group: group.members):
        if not group.causes:
            kept += [shards[number].id for number in group.members]
            continue
        merges.append(
            Merge(
                shards=tuple(shards[number].id for number in group.members),
                rows=group.live,
                parts=ceil(group.live / options.max_rows),
                causes=tuple(cause for cause in Cause if cause in group.causes),
            )
        )
    return CompactionPlan(merges=tuple(merges), kept=tuple(kept))
