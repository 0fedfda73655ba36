"""Which embedder makes the vectors, and how it is reached."""

from pydantic import BaseModel, Field, SecretStr, field_validator
from pydantic.json_schema import SkipJsonSchema

# Prefect keeps what is typed into its forms in the clear, so that a key is no part of them.
Key = SkipJsonSchema[SecretStr | None]


class EmbeddingSettings(BaseModel):
    """Which embedder makes the vectors, and how it is reached."""

    embedder: str = Field(
        "offline",
        description="Embedder: `offline`, `hashing[:DIMENSION]`, `mistral[:MODEL]`, "
        "`openai:MODEL[@DIMENSION]`, `ollama:MODEL[@DIMENSION]` or `llama-index:MODULE.CLASS`",
    )
    embed_dimension: int | None = Field(
        None, ge=1, description="Dimension that the embedder must have; a mismatch stops the run"
    )
    embed_threads: int = Field(
        0, ge=0, description="Threads of a local embedder; 0 means one per available core"
    )
    mistral_api_key: Key = Field(
        None, description="Key for Mistral, never printed; the offline embedder needs none"
    )
    embed_api_key: Key = Field(None, description="Key for the embedding provider, never printed")
    embed_key_file: str = Field("", description="File that holds the key, such as a mounted secret")
    embed_key_block: str = Field(
        "", description="Name of a Prefect Secret block that holds the key"
    )
    embed_url: str = Field(
        "", description="Address of the embedding API; empty for the provider's usual one"
    )
    embed_fallback: tuple[str, ...] = Field(
        (),
        description="Other addresses of the same model, for runs, in order: `URL`, `PROVIDER=URL` "
        "or `PROVIDER:MODEL=URL`; see docs/embedding.md",
    )
    embed_fallback_key: Key = Field(
        None, description="Key for the other addresses, never printed; the first one's is not sent"
    )
    embed_fallback_after_s: float = Field(
        60, gt=0, description="Seconds that an address may be out of reach before the next is asked"
    )
    embed_other: str = Field(
        "",
        description="An embedder that is reached otherwise while one takes the place of another: "
        "`PROVIDER`, `PROVIDER:MODEL` or `PROVIDER:MODEL@DIMENSION`; see docs/embedding.md",
    )
    embed_other_url: str = Field("", description="Its address; empty for the usual one")
    embed_other_key: Key = Field(
        None, description="Its key, never printed; the key of `embedder` is not sent there"
    )
    embed_other_key_file: str = Field("", description="File that holds its key")
    embed_proxy: SecretStr = Field(
        SecretStr(""),
        description="HTTP proxy on the way to the embedding API; never printed, as it may hold a "
        "password",
    )
    embed_ca_bundle: str = Field("", description="File of certificates that are trusted there")
    embed_timeout_s: float = Field(
        60, gt=0, description="Seconds until the last byte of one answer of the embedding API"
    )
    embed_question_timeout_s: float = Field(
        5, gt=0, description="The same for a question that somebody waits for (`search`, `serve`)"
    )
    embed_give_up_s: float = Field(
        900, gt=0, description="Seconds that the embedding API may be out of reach in a run"
    )
    embed_requests_per_minute: float | None = Field(
        None, gt=0, description="Requests that the provider allows; learned when it tells"
    )
    embed_tokens_per_minute: float | None = Field(
        None, gt=0, description="Tokens that the provider allows; learned when it tells"
    )
    embed_pace_file: str = Field(
        "", description="File through which all processes of this machine share the two limits"
    )
    embed_pace_store: str = Field(
        "",
        description="Folder or `s3://bucket/prefix` through which all machines share the two "
        "limits, one for every key; a run on several machines uses its own store without it",
    )
    embed_in_flight: int = Field(
        4, ge=1, le=256, description="Requests to the embedding API at the same time at most"
    )
    embed_request_texts: int = Field(
        128, ge=1, description="Texts in one request at most; lowered when it is refused"
    )
    embed_request_tokens: int = Field(
        16_000, ge=1, description="Tokens in one request at most; lowered when it is refused"
    )
    embed_tokenizer: str = Field(
        "",
        description="What requests are packed by: empty for an estimate, `mistral` for Mistral's "
        "tokenizer, or the path of a SentencePiece model; vectors stay the same",
    )
    embed_night_rate: bool = Field(
        False,
        description="Embed new texts in bulk at the provider's night rate, half the price "
        "(Mistral's Batch API)",
    )
    embed_night_texts: int = Field(
        2_000, ge=1, description="New texts of a run below which all are embedded directly"
    )
    embed_night_wait_s: float = Field(
        6 * 3600, gt=0, description="Seconds after which what is late is embedded directly"
    )
    embed_night_poll_s: float = Field(
        30, gt=0, description="Seconds between two looks at the jobs of the night rate"
    )
    embed_price: float | None = Field(
        None,
        ge=0,
        description="Price of a million tokens, whatever the model; without it `embed_prices`, "
        "then the list price of a known model",
    )
    embed_prices: tuple[str, ...] = Field(
        (),
        description="Prices of a million tokens by model, such as "
        "`mistral-embed=0.1 my-model=0.05`; see docs/embedding.md",
    )
    budget: float | None = Field(
        None, ge=0, description="Most that one run may spend on embedding, in the same currency"
    )

    @field_validator("embed_prices", "embed_fallback", mode="before")
    @classmethod
    def _split_words(cls, value: object) -> object:
        return tuple(value.split()) if isinstance(value, str) else value
