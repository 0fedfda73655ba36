"""How a run shows itself."""

from typing import Literal

from pydantic import BaseModel, Field


class OperatingSettings(BaseModel):
    """How a run shows itself."""

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "warning", description="Least severity of log lines on standard error"
    )
