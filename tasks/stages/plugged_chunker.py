"""The chunker that parser processes are given, made from values that travel as JSON."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

from index_store.embedders.registry import find_tokenizer
from index_store.errors import UsageError
from index_store.records import Chunk
from tasks.stages.chunking.chunker import chunk_document
from tasks.stages.chunking.options import ChunkOptions
from tasks.stages.parsing.elements import ParsedDocument
from tasks.stages.parsing.isolation import WorkerOptions
from tasks.stages.parsing.parse_options import DEFAULT_OPTIONS, ParseOptions
from tasks.stages.parsing.tika import NO_SERVER, TikaOptions

FACTORY = f"{__name__}:make_chunker"


def worker_options(
    options: ChunkOptions,
    tokenizer: str,
    parsing: ParseOptions = DEFAULT_OPTIONS,
    tika: TikaOptions = NO_SERVER,
) -> WorkerOptions:
    """Return what a parse pool needs to cut documents into chunks.

    Args:
        options: How text is cut.
        tokenizer: Identity of the tokenizer that counts.
        parsing: What parsers are told besides the document.
        tika: The server that is asked when no parser here does.
    """
    return WorkerOptions(
        chunker=FACTORY,
        options={"chunk": asdict(options), "tokenizer": tokenizer},
        parsing=parsing,
        tika=tika,
    )


def make_chunker(
    options: Mapping[str, object],
) -> Callable[[ParsedDocument], Sequence[Chunk]]:
    """Open the tokenizer and return the function that chunks; called once per process.

    Raises:
        TypeError: The options are not those of `worker_options`.
        UsageError: There is no such tokenizer.
    """
    values, identity = options["chunk"], options["tokenizer"]
    if not isinstance(values, dict) or not isinstance(identity, str):
        raise TypeError("options are not those of worker_options")
    chunk = ChunkOptions(**values)
    tokenizer = find_tokenizer(identity)
    if tokenizer is None:
        raise UsageError(f"no embedder here has the tokenizer {identity!r}")
    return lambda document: chunk_document(document, chunk, tokenizer)
