"""On which machines the work of a run is done."""

from typing import Literal, Self

from pydantic import BaseModel, Field, model_validator


class SpreadingSettings(BaseModel):
    """On which machines the work of a run is done."""

    runner: Literal["threads", "dask", "ray"] = Field(
        "threads",
        description="What works through batches: `threads` of this machine, or workers of a `dask` "
        "or `ray` cluster (extras of those names)",
    )
    cluster: str = Field(
        "",
        description="Address of the cluster, such as `tcp://scheduler:8786`; empty starts one on "
        "this machine for the run",
    )

    @model_validator(mode="after")
    def _has_use_for_a_cluster(self) -> Self:
        if self.cluster and self.runner == "threads":
            raise ValueError("cluster is given but runner is threads; add --runner dask")
        return self
