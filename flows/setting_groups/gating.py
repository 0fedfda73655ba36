"""How a version is judged before it goes into production."""

from typing import Literal

from pydantic import BaseModel, Field, field_validator


class GatingSettings(BaseModel):
    """How a version is judged before it goes into production."""

    gate_engine: Literal["auto", "great-expectations", "built-in"] = Field(
        "auto",
        description="What checks the expectations; `auto` takes Great Expectations when it is "
        "installed",
    )
    gate_severity: tuple[str, ...] = Field(
        (),
        description="Expectations that are to be judged otherwise, such as "
        "`inventory/growth=warn outcomes=off`; see docs/gates.md",
    )
    gate_probe_texts: int | None = Field(
        None,
        ge=0,
        description="Stored texts that are embedded again to try their vectors; by default 16 with "
        "an embedder that computes here and none with a provider, who is paid",
    )
    gate_growth: float = Field(
        3.0, ge=1, description="Documents for each one of the version before, at most"
    )
    golden_questions: str = Field(
        "",
        description="YAML or CSV file of questions with the documents that answer them, asked of "
        "every version",
    )
    golden_hits: int = Field(
        10, ge=1, le=100, description="Hits that are looked at for each golden question"
    )
    golden_drop: float = Field(
        0.05, ge=0, le=1, description="How much their recall, MRR or nDCG may fall in one night"
    )
    golden_least: float = Field(0.0, ge=0, le=1, description="Least recall of golden questions")
    replay_log: str = Field(
        "",
        description="Audit log of the retriever; its last questions are asked of the new version "
        "and of the live one",
    )
    replay_questions: int = Field(50, ge=1, description="Questions of that log that are asked")
    replay_overlap: float = Field(
        0.5, ge=0, le=1, description="Share of documents that must be found again, else a warning"
    )

    @field_validator("gate_severity", mode="before")
    @classmethod
    def _split_severity(cls, value: object) -> object:
        return tuple(value.split()) if isinstance(value, str) else value
