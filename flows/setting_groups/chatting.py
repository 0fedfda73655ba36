"""How the retriever answers in words, and who may ask."""

import os

from pydantic import BaseModel, Field, SecretStr, field_validator


class ChattingSettings(BaseModel):
    """How the retriever answers in words, and who may ask."""

    chat_url: str = Field(
        "",
        description="Address of an OpenAI-compatible chat API; without one, answers are made of "
        "the best passages",
    )
    chat_models: tuple[str, ...] = Field(
        (), description="Models there, parted by `:`, the next one when one fails"
    )
    chat_api_key: SecretStr | None = Field(
        None, description="Key for the chat API, never printed; `mistral_api_key` for Mistral's"
    )
    chat_temperature: float = Field(0.7, ge=0, le=2, description="Temperature of the chat model")
    chat_max_tokens: int = Field(2048, ge=1, description="Tokens of an answer at most")
    chat_at_once: int = Field(2, ge=1, description="Answers that a model writes at the same time")
    chat_queue: int = Field(32, ge=0, description="Answers that wait for their turn at most")
    chat_cooldown_s: float = Field(
        45, ge=0, description="Seconds for which a chat model that failed is not asked"
    )
    chat_events: bool = Field(
        True, description="Send sources and status lines as Open WebUI's events"
    )
    chat_sources_list: bool = Field(
        False, description="End an answer with a list of its sources, for clients without events"
    )
    prompt_pack: str = Field(
        "strict",
        description="What the model is told: `strict`, `standard`, `summary`, `comparison`, "
        "`structured` or `regulated`",
    )
    context_tokens: int = Field(6000, ge=100, description="Tokens of sources sent to the model")
    history_tokens: int = Field(4096, ge=0, description="Tokens of earlier messages sent to it")
    api_keys: tuple[str, ...] = Field(
        (),
        description="Keys that may ask, `NAME:SCOPES:SHA256` as `nightpress key` prints, parted by "
        "blanks; without any, everybody may ask",
    )
    user_token_secret: SecretStr | None = Field(
        None, description="Secret with which Open WebUI signs who its user is"
    )
    requests_per_minute: float | None = Field(
        None, gt=0, description="Requests of one key and user in a minute at most"
    )

    audit_log: str = Field(
        "", description="File to which every search adds a JSON line: who, where, what was found"
    )
    audit_questions: bool = Field(
        False,
        description="Write the text of questions and the groups of readers there too, as "
        "`replay_log` needs them",
    )

    inbox: str = Field(
        "", description="Folder inside the source that takes uploads; without one, none are taken"
    )
    inbox_max_mb: int = Field(64, ge=1, description="MiB of an uploaded document at most")
    inbox_prefect_url: str = Field(
        "", description="Prefect's API, up to `/api`, which is asked for a run after an upload"
    )
    inbox_prefect_key: SecretStr | None = Field(
        None, description="Bearer token for Prefect's API, never printed"
    )
    inbox_deployment: str = Field("", description="Deployment that is run then, `FLOW/NAME`")

    @field_validator("chat_models", mode="before")
    @classmethod
    def _split_models(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part for part in value.split(os.pathsep) if part)
        return value

    @field_validator("api_keys", mode="before")
    @classmethod
    def _split_keys(cls, value: object) -> object:
        return tuple(value.split()) if isinstance(value, str) else value
