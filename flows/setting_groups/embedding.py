"""Which embedder makes the vectors, and how it is reached."""

from pydantic import BaseModel, Field, SecretStr


class EmbeddingSettings(BaseModel):
    """Which embedder makes the vectors, and how it is reached."""

    embedder: str = Field(
        "offline",
        description="Embedder: `offline`, `hashing[:DIMENSION]` or `llama-index:MODULE.CLASS`",
    )
    embed_dimension: int | None = Field(
        None, ge=1, description="Dimension that the embedder must have; a mismatch stops the run"
    )
    embed_threads: int = Field(
        0, ge=0, description="Threads of a local embedder; 0 means one per available core"
    )
    mistral_api_key: SecretStr | None = Field(
        None, description="Key for Mistral, never printed; the offline embedder needs none"
    )
