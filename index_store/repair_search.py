"""Rebuild the document table and the lexical index of a shard.

Invariants: what is known of documents comes from the catalog alone; a document that it does not
know any more, all of whose rows are dead, may be read by nobody from then on; a lexical index is
made anew from chunk table and document table, by the analysis that it was made with; a file that
comes out as it was goes back under its own key.
"""

import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path, PurePosixPath

from index_store.attributes import DocumentAttributes
from index_store.catalog import Catalog
from index_store.document_table import DocumentTable, ShardDocument, write_documents
from index_store.lexical.analysis import ANALYSES, ANALYSIS
from index_store.lexical.indexing import LexicalWriter
from index_store.local_files import LocalFiles
from index_store.manifest import LexicalFiles, ShardEntry
from index_store.repair_shards import PORTION_ROWS, Findings, is_whole, open_chunks, put_back
from index_store.storage.base import Storage

NOBODY = DocumentAttributes(groups=())


def repair_documents(
    storage: Storage, entry: ShardEntry, catalog: Catalog | None, findings: Findings
) -> ShardEntry | None:
    """Return the shard with a whole document table, or None when nobody knows what was in it.

    Raises:
        TransientError: The store could not be read or written.
    """
    if entry.documents is None or is_whole(storage, entry.documents):
        return entry
    if catalog is None:
        return None
    known = {
        record.row_start: record.attributes
        for record in catalog.in_shards([entry.id])
        if record.chunks
    }
    with (
        closing(LocalFiles(storage, None)) as files,
        tempfile.TemporaryDirectory(prefix="nightpress-") as folder,
    ):
        documents = [
            ShardDocument(
                uri=uri, row_start=start, row_end=end, attributes=known.get(start, NOBODY)
            )
            for uri, start, end in open_chunks(files, entry).documents()
        ]
        path = Path(folder) / "documents.arrow"
        write_documents(path, documents)
        table = put_back(storage, entry.documents, path, entry.documents.key, findings)
    return replace(entry, documents=table)


def repair_lexical(storage: Storage, entry: ShardEntry, findings: Findings) -> ShardEntry:
    """Return the shard with a whole lexical index; its other files are whole.

    Raises:
        TransientError: The store could not be read or written.
    """
    lexical = entry.lexical
    if lexical is None or all(is_whole(storage, file) for file in lexical.files):
        return entry
    with (
        closing(LocalFiles(storage, None)) as files,
        tempfile.TemporaryDirectory(prefix="nightpress-") as folder,
    ):
        chunks = open_chunks(files, entry)
        table = DocumentTable.of_runs(chunks.documents())
        if entry.documents is not None:
            path = files.checked_path(entry.documents, verify=True)
            table = DocumentTable.open(path, rows=entry.rows)
        analysis = lexical.analysis if lexical.analysis in ANALYSES else ANALYSIS
        scratch = Path(folder) / "lexical"
        with closing(LexicalWriter(scratch, table.documents(), analysis=analysis)) as writer:
            for start in range(0, entry.rows, PORTION_ROWS):
                writer.add(chunks.read(start, min(start + PORTION_ROWS, entry.rows)))
            made = writer.finish()
            whole = tuple(
                file
                if lexical.analysis == analysis and is_whole(storage, file)
                else put_back(
                    storage, file, made[PurePosixPath(file.key).suffix[1:]], file.key, findings
                )
                for file in lexical.files
            )
            rebuilt = LexicalFiles(analysis=analysis, languages=writer.languages, files=whole)
    return replace(entry, lexical=rebuilt)
