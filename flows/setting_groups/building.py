"""How shards are built and kept."""

from typing import Literal

from pydantic import BaseModel, Field


class BuildingSettings(BaseModel):
    """How shards are built and kept."""

    hnsw_m: int = Field(32, ge=2, le=256, description="Links per vector in the HNSW graph")
    hnsw_ef_construction: int = Field(100, ge=8, description="Candidates looked at while building")
    hnsw_ef_search: int = Field(64, ge=1, description="Candidates looked at while searching")
    shard_storage: Literal["flat", "fp16", "sq8"] = Field(
        "fp16", description="How shards store vectors: 32, 16 (as exact here) or 8 bits a number"
    )
    recall_gate: float = Field(
        0.95, ge=0, le=1, description="Recall of a graph below which its shard is searched exactly"
    )
    index_batch_rows: int = Field(5000, ge=1, description="Vectors added to the graph at a time")
    max_shard_rows: int = Field(500_000, ge=1, description="Rows above which a new shard is begun")
    checkpoint_rows: int = Field(
        50_000, ge=1, description="Rows after which an unfinished shard is checkpointed"
    )
    exact_rows: int = Field(
        50_000, ge=0, description="Live rows up to which search is exact instead of by HNSW"
    )
