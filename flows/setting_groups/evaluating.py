"""How answers are evaluated."""

from pydantic import BaseModel, Field, SecretStr
from pydantic.json_schema import SkipJsonSchema


class EvaluatingSettings(BaseModel):
    """How answers are evaluated."""

    evaluation_questions: str = Field(
        "",
        description="YAML or CSV file of questions with the answers that are right, for "
        "`nightpress evaluate`; `golden_questions` by default",
    )
    judge_url: str = Field(
        "",
        description="Address of an OpenAI-compatible chat API whose model marks answers; without "
        "one only people do",
    )
    judge_model: str = Field("", description="Model there")
    judge_api_key: SkipJsonSchema[SecretStr | None] = Field(
        None, description="Key for the judge's API, never printed"
    )
