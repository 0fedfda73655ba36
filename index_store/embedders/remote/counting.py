"""What requests are packed by: an estimate, or the provider's own tokenizer where it can be had."""

from importlib.util import find_spec
from pathlib import Path

from index_store.embedder import Tokenizer
from index_store.embedders.hashing import PieceTokenizer
from index_store.errors import UsageError

MISTRAL = "mistral"
MISTRAL_PACKAGE = "mistral_common"
MISTRAL_FILE = "data/tokenizer.model.v1"  # which Mistral's package named for mistral-embed


def open_counter(wanted: str) -> Tokenizer:
    """Open a tokenizer by which requests are packed; no part of the embedder's identity.

    Args:
        wanted: Empty for an estimate, `mistral`, or the path of a SentencePiece model.

    Raises:
        UsageError: The package or the file is missing, or the file is no SentencePiece model.
    """
    if not wanted:
        return PieceTokenizer()
    path = _file_of_mistral() if wanted == MISTRAL else Path(wanted)
    from index_store.embedders.sentencepiece_tokenizer import (  # noqa: PLC0415  heavy
        SentencePieceTokenizer,
    )

    try:
        return SentencePieceTokenizer(path.read_bytes())
    except ImportError as error:
        raise UsageError(
            f"embed_tokenizer {wanted!r} needs the package sentencepiece: pip install sentencepiece"
        ) from error
    except (OSError, RuntimeError) as error:
        raise UsageError(
            f"embed_tokenizer {wanted!r}: {path} is no SentencePiece model that can be read "
            f"({type(error).__name__})"
        ) from error


def _file_of_mistral() -> Path:
    found = find_spec(MISTRAL_PACKAGE)  # its data is read, the package is never imported
    if found is None or not found.submodule_search_locations:
        raise UsageError(
            "embed_tokenizer 'mistral' needs the package mistral-common: "
            "pip install 'nightpress[mistral-tokenizer]'"
        )
    return Path(next(iter(found.submodule_search_locations))) / MISTRAL_FILE
