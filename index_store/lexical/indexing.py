"""Make the lexical index of a shard from its chunks and what is known of its documents.

Invariant: the same rows and documents give byte-identical files, whether a shard is built,
compacted or repaired.
"""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from index_store.artifacts import store_artifact
from index_store.chunk_table import StoredChunk
from index_store.document_table import ShardDocument
from index_store.errors import CorruptArtifactError
from index_store.layout import shard_lexical_key
from index_store.lexical.analysis import ANALYSIS, words_of
from index_store.lexical.engine import DOCUMENT_KEY_BYTES, LexicalBuilder
from index_store.lexical.languages import analysed_as
from index_store.manifest import LexicalFiles
from index_store.storage.base import Storage


def document_key(uri: str) -> bytes:
    """Return 8 bytes that stand for a document in a lexical index.

    Two documents may share them, so whoever looks rows up by them checks the rows.
    """
    return hashlib.sha256(uri.encode("utf-8", "surrogatepass")).digest()[:DOCUMENT_KEY_BYTES]


class LexicalWriter:
    """Writes the lexical index of one shard to a local folder, row by row; close it at the end.

    Args:
        folder: An empty folder.
        documents: The documents of the shard, in order of row, without gaps.
        analysis: How texts become words, one of `ANALYSES`.
    """

    def __init__(
        self, folder: Path, documents: Sequence[ShardDocument], *, analysis: str = ANALYSIS
    ) -> None:
        folder.mkdir(exist_ok=True)
        self._builder = LexicalBuilder(folder)
        self._documents = documents
        self._analysis = analysis
        self._place = 0
        self._row = 0

    def add(self, chunks: Iterable[StoredChunk]) -> None:
        """Append rows.

        Raises:
            CorruptArtifactError: There are more rows than the documents have.
        """
        for stored in chunks:
            document = self._document()
            words = words_of(
                "\n".join((stored.chunk.text, *stored.chunk.keywords)),
                analysed_as(document.attributes.language),
                headings=stored.chunk.citation.section,
                analysis=self._analysis,
            )
            self._builder.add(words, document_key(document.uri))
            self._row += 1

    @property
    def languages(self) -> tuple[str, ...]:
        """Languages that the rows are analysed in, sorted."""
        return tuple(sorted({analysed_as(each.attributes.language) for each in self._documents}))

    def finish(self) -> dict[str, Path]:
        """Finish the files and return them by suffix.

        Raises:
            UsageError: The shard is too large.
            TransientError: The files could not be written.
        """
        return self._builder.finish()

    def store(self, storage: Storage, collection: str, shard: str) -> LexicalFiles:
        """Finish the files and put them into the store.

        Raises:
            UsageError: The shard is too large.
            CorruptArtifactError: What was read back differs from what was written.
            TransientError: The files could not be written.
        """
        return LexicalFiles(
            analysis=self._analysis,
            languages=self.languages,
            files=tuple(
                store_artifact(storage, shard_lexical_key(collection, shard, suffix), path)
                for suffix, path in sorted(self.finish().items())
            ),
        )

    def close(self) -> None:
        """Wait until nothing is written into the folder any more."""
        self._builder.close()

    def _document(self) -> ShardDocument:
        while self._place < len(self._documents):
            document = self._documents[self._place]
            if self._row < document.row_end:
                return document
            self._place += 1
        raise CorruptArtifactError(f"row {self._row} belongs to no document of the shard")
