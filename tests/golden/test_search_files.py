"""A document table and a lexical index of format 1, written once and read for ever.

`python tests/golden/test_search_files.py` writes what is missing; an existing file is never
replaced, because published shards hold such files.
"""

import hashlib
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from index_store.attributes import NO_ATTRIBUTES, DocumentAttributes
from index_store.chunk_table import StoredChunk, stored_chunk
from index_store.document_table import DocumentTable, ShardDocument, write_documents
from index_store.lexical.engine import ANALYSIS, SUFFIXES, LexicalReader
from index_store.lexical.indexing import LexicalWriter, document_key
from index_store.lexical.questions import question_words
from index_store.records import Chunk

FOLDER = Path(__file__).parent / "search_files"
TABLE = FOLDER / "documents.arrow"
SHA256 = {
    "documents.arrow": "33d30613294ad11756cc53a756ff6cadaaa2e6810cdae32be6a0b8bbd15b7036",
    "lexical.fast": "c8edbfc984e130d7c4347933c041a53e7f4e87b69d0ce2fc9e9b20faccf4401a",
    "lexical.fieldnorm": "c50ec16a540a8e0a0f326a2350443fffe1c9124b1f7b19af18388ae4dcf441fc",
    "lexical.idx": "c20018928823644094a6c00d747f212b537a00995d18d087356de4277db446e1",
    "lexical.pos": "1d3ba3e48305c9cea04d531b9aa32c9552b289effaf1f38546003c5102ea49d4",
    "lexical.store": "10a674cfe4faa70b1ec95324799f3e590851ffc91011e7cb1a0bf9fe5c9249a0",
    "lexical.term": "fa732b14492cbc51de547690e5274fb2f1a192865ab51076a46f83ce79a74fa3",
}
DOCUMENTS = (
    ShardDocument(
        uri="conges.md",
        row_start=0,
        row_end=2,
        attributes=DocumentAttributes(
            title="Congés payés",
            url="https://example.org/conges",
            date="2024-05-01",
            language="fr",
            media_type="markdown",
            document_type="guide",
            theme="paie",
            keywords=("congés", "RTT"),
            groups=("hr", "staff"),
            extra={"chapter": "3", "author": "A. B."},
        ),
    ),
    ShardDocument(
        uri="rent.txt",
        row_start=2,
        row_end=3,
        attributes=DocumentAttributes(language="en", groups=()),
    ),
    ShardDocument(uri="unknown.txt", row_start=3, row_end=4, attributes=NO_ATTRIBUTES),
)
TEXTS = (
    "Les salariés acquièrent des congés payés.",
    "L'indemnité de congé est versée à l'été.",
    "Rents are due on the first day of every month.",
    "Zahlungen sind fällig.",
)
LANGUAGES = ("", "en", "fr")


def chunks() -> list[StoredChunk]:
    """The rows of the shard."""
    return [
        stored_chunk(document.uri, row - document.row_start, Chunk(text=TEXTS[row], tokens=5))
        for document in DOCUMENTS
        for row in range(document.row_start, document.row_end)
    ]


def write(folder: Path) -> None:
    """Write the files of the shard as this nightpress does."""
    write_documents(folder / "documents.arrow", DOCUMENTS)
    with (
        TemporaryDirectory() as scratch,
        closing(LexicalWriter(Path(scratch), DOCUMENTS)) as writer,
    ):
        writer.add(chunks())
        for suffix, path in writer.finish().items():
            (folder / f"lexical.{suffix}").write_bytes(path.read_bytes())


@pytest.mark.parametrize("name", SHA256)
def test_the_golden_files_are_as_they_were(name: str):
    assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == SHA256[name]


def test_the_document_table_is_read():
    table = DocumentTable.open(TABLE, rows=len(TEXTS))
    assert tuple(table.documents()) == DOCUMENTS


@pytest.mark.parametrize(
    ("question", "rows"),
    [
        ("conge", [1, 0]),
        ("les congés payés de la salariée", [0, 1]),
        ("the rent", [2]),
        ("zahlungen", [3]),
        ("Zahlung", []),
    ],
)
def test_rows_are_found_by_their_words(question: str, rows: list[int]):
    files = {suffix: FOLDER / f"lexical.{suffix}" for suffix in SUFFIXES}
    with closing(LexicalReader([(files, len(TEXTS))], ["golden"])) as reader:
        words = question_words(question, LANGUAGES)
        assert sorted(reader.search(words, 9)[2].tolist()) == sorted(rows)
        keys = [document_key("conges.md")]
        below = reader.search(words, 9, document_keys=keys)[2].tolist()
        assert sorted(below) == sorted(row for row in rows if row < 2)


def test_the_same_rows_are_written_as_the_same_bytes(tmp_path: Path):
    """When this fails, bump `ANALYSIS`: old files stay readable as long as the name is known."""
    write(tmp_path)
    for name in SHA256:
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes(), name
    assert ANALYSIS == "tantivy-0.27-folded-stems-1"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    with TemporaryDirectory() as made:
        write(Path(made))
        for path in sorted(Path(made).iterdir()):
            if not (FOLDER / path.name).exists():
                (FOLDER / path.name).write_bytes(path.read_bytes())
