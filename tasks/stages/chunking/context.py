"""The line that says where a chunk stands: its document's title and its section.

Invariants: the line and the chunk together keep to the limit; a chunk that begins with the same
words gets no line.
"""

from dataclasses import replace

from index_store.embedder import Tokenizer
from index_store.records import Chunk
from tasks.stages.chunking.options import ChunkOptions

SEPARATOR = " › "
_SHARE = 8  # of a chunk; a longer line says less than the text that it displaces


def context_tokens(options: ChunkOptions) -> int:
    """Return how many tokens are kept for the line."""
    return options.max_tokens // _SHARE


def with_context(chunk: Chunk, title: str, options: ChunkOptions, tokenizer: Tokenizer) -> Chunk:
    """Return a chunk that begins with its title and section, as far as there is room."""
    parts = [part for part in (title, *chunk.citation.section) if part]
    line = SEPARATOR.join(dict.fromkeys(parts))
    words = line.split()
    if not words or chunk.text.startswith(line):
        return chunk
    room = context_tokens(options)
    kept = total = 0
    counts = tokenizer.count(words)
    while kept < len(words) and total + counts[kept] <= room:
        total += counts[kept]
        kept += 1
    if not kept:
        return chunk
    text = f"{' '.join(words[:kept])}\n{chunk.text}"
    return replace(chunk, text=text, tokens=sum(tokenizer.count(text.split())))
