"""What is indexed, where it goes, and what stops a run."""

import os
import re

from pydantic import BaseModel, Field, field_validator

DEFAULT_EXTENSIONS = (
    ".pdf",
    ".docx",
    ".docm",
    ".dotx",
    ".doc",
    ".odt",
    ".rtf",
    ".pptx",
    ".pptm",
    ".ppsx",
    ".potx",
    ".ppt",
    ".odp",
    ".xlsx",
    ".xlsm",
    ".xlsb",
    ".xls",
    ".ods",
    ".csv",
    ".tsv",
    ".txt",
    ".log",
    ".md",
    ".rst",
    ".html",
    ".htm",
    ".xhtml",
    ".xml",
    ".json",
    ".ipynb",
    ".epub",
    ".eml",
    ".msg",
    ".mbox",
    ".gz",
    ".bz2",
    ".xz",
    ".zst",
)
# Lock files of office programs, version control and archive debris: never documents.
DEFAULT_EXCLUDE = ("~$*", ".~lock.*", "**/.git/**", "**/__MACOSX/**")
# The colon of an address parts nothing.
_PARTING = re.compile(rf"{re.escape(os.pathsep)}(?!//)")


class SourceSettings(BaseModel):
    """What is indexed, where it goes, and what stops a run."""

    source: tuple[str, ...] = Field(
        (),
        description="Where documents are: `DIR`, `s3://BUCKET/PREFIX`, or `NAME=` either; in the "
        "environment parted by `:`",
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
    sidecars: bool = Field(
        True, description="`NAME.json` beside a document describes it instead of being one"
    )
    folder_sidecar: str = Field(
        "_metadata.json",
        description="Name of the file that describes every document of its folder and below",
    )
    full: bool = Field(
        False, description="Index every document anew; stored embeddings are still used"
    )
    stored_text: bool = Field(
        False,
        description="Read no source: take every text from the last version, for another embedder",
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

    @field_validator("source", "include", "exclude", "extensions", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part for part in _PARTING.split(value) if part)
        return value

    @field_validator("extensions")
    @classmethod
    def _normalise_extensions(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(f".{ending.lstrip('.').lower()}" for ending in value)
