"""Check that a shard can be searched by its words, and that its document table covers its rows."""

from collections import Counter
from collections.abc import Sequence
from contextlib import closing

from index_store.chunk_table import ChunkTable
from index_store.document_table import DocumentTable
from index_store.errors import CorruptArtifactError
from index_store.lexical.analysis import words_of
from index_store.lexical.engine import LexicalReader
from index_store.lexical.indexing import document_key
from index_store.lexical.languages import analysed_as
from index_store.local_files import LocalFiles
from index_store.manifest import ShardEntry
from index_store.open_shard import lexical_paths


def check_words(
    files: LocalFiles, entry: ShardEntry, chunks: ChunkTable, rows: Sequence[int]
) -> None:
    """Open document table and lexical index, and look some rows up by their own words.

    Args:
        files: Where local files come from; size and hash were checked.
        entry: The shard.
        chunks: Its chunk table.
        rows: Rows to look up.

    Raises:
        CorruptArtifactError: A row is not found by the words of its document's language.
    """
    if entry.documents is None or entry.lexical is None:
        return
    table = DocumentTable.open(files.path(entry.documents), rows=entry.rows)
    paths = lexical_paths(entry.lexical, files, verify=False)
    if paths is None:
        return
    documents = table.documents()
    with closing(LexicalReader([(paths, entry.rows)], [entry.id])) as reader:
        for row in rows:
            document = next(each for each in documents if each.row_end > row)
            language = analysed_as(document.attributes.language)
            text, analysis = chunks.text(row), entry.lexical.analysis
            words = Counter(words_of(text, language, analysis=analysis))
            _, _, found = reader.search(
                words, entry.rows, document_keys=[document_key(document.uri)]
            )
            if words and row not in found.tolist():
                raise CorruptArtifactError(
                    f"lexical index of shard {entry.id}: row {row} is not found by its words"
                )
