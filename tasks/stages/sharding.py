"""Decide which batches go into which shard.

Invariants: pure; shards hold consecutive batches, so a document's rows are contiguous in one shard;
the same batches give the same shards.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSize:
    """A finished batch and its size.

    Attributes:
        key: Key of its checkpoint.
        rows: Number of its chunks.
    """

    key: str
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardPlan:
    """One shard to be built.

    Attributes:
        number: Position in the run, from 0.
        batches: Keys of the batches it holds, in order.
        rows: Number of its rows, at least 1.
    """

    number: int
    batches: tuple[str, ...]
    rows: int


def plan_shards(batches: Sequence[BatchSize], *, max_rows: int) -> tuple[ShardPlan, ...]:
    """Group batches into as few shards of at most `max_rows` rows as their order allows.

    Args:
        batches: Finished batches in order.
        max_rows: Rows above which a new shard is begun; one batch may be larger by itself.

    Returns:
        Shards in order; none when there are no rows.
    """
    shards: list[ShardPlan] = []
    keys: list[str] = []
    rows = 0
    for batch in batches:
        if not batch.rows:
            continue
        if keys and rows + batch.rows > max_rows:
            shards.append(ShardPlan(number=len(shards), batches=tuple(keys), rows=rows))
            keys, rows = [], 0
        keys.append(batch.key)
        rows += batch.rows
    if keys:
        shards.append(ShardPlan(number=len(shards), batches=tuple(keys), rows=rows))
    return tuple(shards)
