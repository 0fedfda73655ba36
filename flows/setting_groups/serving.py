"""How the retriever reads a store and answers."""

from typing import Literal

from pydantic import BaseModel, Field, SecretStr


class ServingSettings(BaseModel):
    """How the retriever reads a store and answers."""

    cache_dir: str = Field(
        ".nightpress/cache", description="Folder for checked copies of a store without local files"
    )
    cache_mib: int = Field(
        20480, ge=1, description="MiB that the copies may take; the least used go first"
    )
    cache_folders: bool = Field(
        False, description="Copy from a folder store too, such as one on a network mount"
    )
    follow: str = Field(
        "production",
        description="What is served: a channel, the name of a pin, or the beginning of a "
        "version's id",
    )
    memory_reserve_mib: int = Field(
        64,
        ge=0,
        description="MiB of memory that must be left beside a new version, or the old one stays",
    )
    drain_s: float = Field(
        5.0,
        ge=0,
        description="Seconds for which a retriever that was told to stop (SIGTERM) still answers, "
        "while `/readyz` says that it ends",
    )
    max_connections: int = Field(
        512, ge=1, description="Connections to the retriever at the same time; more are closed"
    )
    trace_url: str = Field(
        "",
        description="Address that takes OpenTelemetry's traces over HTTP, such as "
        "`http://collector:4318/v1/traces` (extra `otel`); empty sends nothing",
    )
    log_format: Literal["plain", "json"] = Field(
        "plain", description="Form of the retriever's log lines; none holds a question"
    )
    files_host: str = Field(
        "", description="Base URL under which the documents are served; makes links in hits"
    )
    docs_root_dir: str = Field(
        "", description="Folder that `files_host` serves; the source must lie in it to be linked"
    )
    host: str = Field("127.0.0.1", description="Address that the retriever listens on")
    port: int = Field(8080, ge=0, le=65535, description="Port that the retriever listens on")
    poll_s: float = Field(
        2.0, gt=0, description="Seconds between the retriever's looks for a new version"
    )
    search_k: int = Field(
        5, ge=1, le=100, description="Hits of a search that does not say how many"
    )
    search_most_k: int = Field(
        5,
        ge=1,
        le=100,
        description="Hits that such a search grows to while fewer than `search_k` are good",
    )
    search_good_score: float = Field(
        0.3, ge=-1, le=1, description="Cosine similarity from which a hit is good, in chats too"
    )
    search_recency: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Share of a score that age takes away, in chats too; 0 for none",
    )
    search_half_life_days: float = Field(
        365.0, gt=0, description="Age of a document at which half of that share is taken"
    )
    rerank_shape: Literal["none", "cohere", "jina", "tei", "llama-index"] = Field(
        "none", description="Whose requests a reranker speaks; `none` leaves hits as they are"
    )
    rerank_url: str = Field(
        "", description="Whole address of the reranker, or the class of a LlamaIndex postprocessor"
    )
    rerank_model: str = Field("", description="Name of the reranker's model, where it has one")
    rerank_api_key: SecretStr | None = Field(None, description="Bearer token for the reranker")
    rerank_deadline_s: float = Field(
        1.0, gt=0, description="Seconds after which hits are served without the reranker"
    )
    rerank_candidates: int = Field(
        30, ge=1, le=200, description="Hits that the reranker is shown before they are cut"
    )
