"""Every setting in one place: its name, default, unit, meaning and where it may come from.

Precedence: flags, then environment (`NIGHTPRESS_*`, then the names of the system taken over), then
`nightpress.toml`, then the default. Settings are read once, at entry, and never change afterwards.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from index_store.errors import UsageError

ENV_PREFIX = "NIGHTPRESS_"
CONFIG_FILE = "nightpress.toml"

# Names of the system taken over, still accepted in the environment.
LEGACY_NAMES = {
    "DOCS_DIR": "source",
    "VECTOR_INDEX_DIR": "store",
    "MAX_LOADERS": "parse_workers",
    "EMBED_DIM": "embed_dimension",
    "BATCH_SIZE": "index_batch_rows",
    "HNSW_M": "hnsw_m",
    "HNSW_EF_CONS": "hnsw_ef_construction",
    "HNSW_EF_SEARCH": "hnsw_ef_search",
    "MIN_CHUNK_LENGTH": "min_chunk_chars",
    "FORCE_INITIAL": "full",
    "MISTRAL_API_KEY": "mistral_api_key",
    "FILES_HOST": "files_host",
    "DOCS_ROOT_DIR": "docs_root_dir",
}

DEFAULT_EXTENSIONS = (
    ".pdf",
    ".docx",
    ".txt",
    ".md",
    ".html",
    ".csv",
    ".xlsx",
    ".xls",
    ".xlsm",
    ".pptx",
)
# Lock files of office programs, version control and archive debris: never documents.
DEFAULT_EXCLUDE = ("~$*", ".~lock.*", "**/.git/**", "**/__MACOSX/**")


class Settings(BaseModel):
    """What a person can set. See `settings_table` for the printed form."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: tuple[str, ...] = Field(
        (),
        description="Folders of documents, `DIR` or `NAME=DIR`; in the environment parted by `:`",
    )
    store: str = Field(
        ".nightpress/store", description="URL of the store: a folder or `s3://BUCKET/PREFIX`"
    )
    single_writer: bool = Field(
        False, description="Use a store that is unfit for several writers; shown in every status"
    )
    collection: str = Field(
        "documents", description="Name of the collection", pattern=r"^[a-z0-9][a-z0-9._-]{0,127}$"
    )
    include: tuple[str, ...] = Field(
        (), description="Globs of documents to take; empty takes every supported type"
    )
    exclude: tuple[str, ...] = Field(
        DEFAULT_EXCLUDE, description="Globs of documents to leave out; they win over `include`"
    )
    extensions: tuple[str, ...] = Field(
        DEFAULT_EXTENSIONS, description="Endings that make a file a document, in any case"
    )
    allow_outside_root: bool = Field(
        False, description="Follow symbolic links that lead out of the source"
    )
    full: bool = Field(
        False, description="Index every document anew; stored embeddings are still used"
    )
    retry_rejected: bool = Field(False, description="Try every rejected document again")
    keep_last_good: bool = Field(
        True, description="A changed document that fails to parse keeps its last good chunks"
    )
    allow_removal: bool = Field(False, description="Go on although the tripwire would stop the run")
    tripwire_share: float = Field(
        0.2, ge=0, le=1, description="Share of documents that may vanish in one run"
    )
    tripwire_min_documents: int = Field(
        2, ge=1, description="Vanished documents below which the share is not looked at"
    )
    promote: bool = Field(
        True, description="Move `production` to the new version when its checks pass"
    )
    parse_workers: int = Field(
        0, ge=0, le=256, description="Parser processes; 0 means one per available core"
    )
    parse_timeout_s: float = Field(
        120, gt=0, description="Seconds that one document may take, from its own start"
    )
    parse_memory_mib: int = Field(
        2048, ge=128, description="MiB of memory that one parser process may use"
    )
    max_document_mib: int = Field(512, ge=1, description="MiB above which a document is rejected")
    batch_documents: int = Field(
        200, ge=1, description="Documents in one batch at most; a batch is one task run per stage"
    )
    max_chunk_tokens: int = Field(
        512, ge=16, description="Tokens of a chunk at most, by the embedder's tokenizer"
    )
    chunk_overlap_tokens: int = Field(
        64, ge=0, description="Tokens that neighbouring chunks share at most"
    )
    min_chunk_chars: int = Field(50, ge=0, description="Characters below which a chunk is dropped")
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
    hnsw_m: int = Field(32, ge=2, le=256, description="Links per vector in the HNSW graph")
    hnsw_ef_construction: int = Field(100, ge=8, description="Candidates looked at while building")
    hnsw_ef_search: int = Field(64, ge=1, description="Candidates looked at while searching")
    shard_storage: Literal["flat", "fp16", "sq8"] = Field(
        "flat", description="How shards store vectors: 32, 16 (as exact here) or 8 bits a number"
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
    cache_dir: str = Field(
        ".nightpress/cache", description="Folder for checked copies of a store without local files"
    )
    cache_mib: int = Field(
        20480, ge=1, description="MiB that the copies may take; the least used go first"
    )
    cache_folders: bool = Field(
        False, description="Copy from a folder store too, such as one on a network mount"
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
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "warning", description="Least severity of log lines on standard error"
    )

    @field_validator("source", "include", "exclude", "extensions", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part for part in value.split(os.pathsep) if part)
        return value

    @field_validator("extensions")
    @classmethod
    def _normalise_extensions(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(f".{ending.lstrip('.').lower()}" for ending in value)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedSettings:
    """Settings together with what the person should be told about them.

    Attributes:
        settings: The values.
        notices: One line per name in the environment that is old or unknown.
    """

    settings: Settings
    notices: tuple[str, ...] = ()


def load_settings(
    flags: Mapping[str, object], environment: Mapping[str, str], config: Path | None = None
) -> LoadedSettings:
    """Merge flags, environment, file and defaults.

    Args:
        flags: Values given on the command line, by setting name; None means not given.
        environment: Environment variables.
        config: Settings file; None means `nightpress.toml` in the working folder, if it is there.

    Returns:
        The settings, every value checked.

    Raises:
        UsageError: A name is unknown or a value is refused; every problem is listed.
    """
    values: dict[str, object] = dict(_from_file(config))
    legacy, notices = _from_legacy(environment)
    values.update(legacy)
    values.update(_from_environment(environment))
    values.update({name: value for name, value in flags.items() if value is not None})
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise UsageError(_explain(error)) from None
    if settings.chunk_overlap_tokens * 2 > settings.max_chunk_tokens:
        raise UsageError(
            f"chunk_overlap_tokens {settings.chunk_overlap_tokens} is more than half of "
            f"max_chunk_tokens {settings.max_chunk_tokens}"
        )
    return LoadedSettings(settings=settings, notices=(*notices, *_unknown_names(environment)))


def settings_table() -> str:
    """Return the Markdown table of every setting, for the README."""
    rows = ["| Setting | Default | Meaning |", "|---|---|---|"]
    legacy = {name: old for old, name in LEGACY_NAMES.items()}
    for name, info in Settings.model_fields.items():
        old = f" (also `{legacy[name]}`)" if name in legacy else ""
        rows.append(f"| `{name}`{old} | {_shown(info.default)} | {info.description} |")
    return "\n".join(rows) + "\n"


def _from_file(config: Path | None) -> dict[str, object]:
    path = config or Path(CONFIG_FILE)
    try:
        with path.open("rb") as stream:
            return tomllib.load(stream)
    except FileNotFoundError:
        if config is None:
            return {}
        raise UsageError(f"settings file {str(path)!r} does not exist") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"settings file {str(path)!r} cannot be read: {error}") from None


def _from_legacy(environment: Mapping[str, str]) -> tuple[dict[str, object], tuple[str, ...]]:
    values: dict[str, object] = {}
    notices = []
    for old, name in LEGACY_NAMES.items():
        given = environment.get(old, "")
        if given and f"{ENV_PREFIX}{name.upper()}" not in environment:
            values[name] = given
            notices.append(f"{old} is accepted; its name here is {ENV_PREFIX}{name.upper()}")
    return values, tuple(notices)


def _from_environment(environment: Mapping[str, str]) -> dict[str, object]:
    values: dict[str, object] = {}
    for key, value in environment.items():
        name = key.removeprefix(ENV_PREFIX).lower()
        if key.startswith(ENV_PREFIX) and name in Settings.model_fields:
            values[name] = value
    return values


def _unknown_names(environment: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(
        f"{key} is not a setting and is ignored; the README lists them"
        for key in sorted(environment)
        if key.startswith(ENV_PREFIX)
        and key.removeprefix(ENV_PREFIX).lower() not in Settings.model_fields
    )


def _explain(error: ValidationError) -> str:
    problems = []
    for problem in error.errors():
        name = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            problems.append(f"setting {name!r} is unknown")
        else:
            shown = "" if "key" in name else f", found {problem['input']!r}"
            problems.append(
                f"setting {name!r}: {problem['msg'][0].lower()}{problem['msg'][1:]}{shown}"
            )
    return "; ".join(problems)


def _shown(default: object) -> str:
    if default is None or default in ("", ()):
        return "none"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, tuple):
        return "`" + " ".join(str(part) for part in default) + "`"
    return f"`{default}`"
