"""Document tables and lexical indexes of format 1, an index per analysis, read for ever.

`python tests/golden/test_search_files.py` writes what is missing; an existing file is never
replaced, because published shards hold such files.
"""

import hashlib
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from index_store.attributes import NO_ATTRIBUTES, DocumentAttributes
from index_store.chunk_table import StoredChunk, stored_chunk
from index_store.document_table import DocumentTable, ShardDocument, write_documents
from index_store.lexical.analysis import ANALYSES, FIRST_ANALYSIS
from index_store.lexical.engine import SUFFIXES, LexicalReader
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
FOLDER_2 = Path(__file__).parent / "search_files_2"
DOCUMENTS_2 = (ShardDocument(uri="clauses.txt", row_start=0, row_end=5, attributes=NO_ATTRIBUTES),)
TEXTS_2 = (
    "2.9 Warranty",
    "As Article 2.9 and L. 121-3 say, 9 of 2 lots.",
    "§ 4 Kündigung von AB-12/3",
    "劳动者享受带薪年休假。",
    "有給休暇 임금을 ภาษา",
)
SHA256_2 = {
    "documents.arrow": "b5107444b6b0a65eb51d2809fe2bb187505f1545e576767449ab95fc32c98870",
    "lexical.fast": "a60493ee0e8fa80585e2ba4e04f599226deef0daee642d93fcfe94bfa93e01ea",
    "lexical.fieldnorm": "55fbca7f7d64b39aa9b6cd26a2681f37cef8a745391f994f031b4e7116288745",
    "lexical.idx": "8c0821d9b4ab2fca10238feea7aefa4dbd8a39cd3fde8bd75e3d9d14fa83bbf4",
    "lexical.pos": "1d3ba3e48305c9cea04d531b9aa32c9552b289effaf1f38546003c5102ea49d4",
    "lexical.store": "2f65f72cc906f73961626305da3ebf01bc215b3b16b4ae5a37c8c315e0974786",
    "lexical.term": "647e3f89cd390401b74b7a2e92e38cd006b58b3dd2d30f4b5bdc08b5afac58d4",
}


def chunks(documents: Sequence[ShardDocument], texts: Sequence[str]) -> list[StoredChunk]:
    """The rows of a shard."""
    return [
        stored_chunk(document.uri, row - document.row_start, Chunk(text=texts[row], tokens=5))
        for document in documents
        for row in range(document.row_start, document.row_end)
    ]


def write(analysis: str, folder: Path) -> None:
    """Write the files of a shard as this nightpress does."""
    first = analysis == FIRST_ANALYSIS
    documents, texts = (DOCUMENTS, TEXTS) if first else (DOCUMENTS_2, TEXTS_2)
    write_documents(folder / "documents.arrow", documents)
    with (
        TemporaryDirectory() as scratch,
        closing(LexicalWriter(Path(scratch), documents, analysis=analysis)) as writer,
    ):
        writer.add(chunks(documents, texts))
        for suffix, path in writer.finish().items():
            (folder / f"lexical.{suffix}").write_bytes(path.read_bytes())


@pytest.mark.parametrize(
    ("folder", "name", "sha256"),
    [(FOLDER, *item) for item in SHA256.items()] + [(FOLDER_2, *item) for item in SHA256_2.items()],
)
def test_the_golden_files_are_as_they_were(folder: Path, name: str, sha256: str):
    assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == sha256


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
        words = question_words(question, LANGUAGES, (FIRST_ANALYSIS,))
        assert sorted(reader.search(words, 9)[2].tolist()) == sorted(rows)
        keys = [document_key("conges.md")]
        below = reader.search(words, 9, document_keys=keys)[2].tolist()
        assert sorted(below) == sorted(row for row in rows if row < 2)


@pytest.mark.parametrize(
    ("question", "rows"),
    [
        ("Article 2.9", [0, 1]),
        ("L121-3", [1, 2]),
        ("§ 4", [2]),
        ("AB12/3", [2, 1]),
        ("年休假", [3]),
        ("임금", [4]),
    ],
)
def test_rows_are_found_by_their_numbers_and_pairs(question: str, rows: list[int]):
    files = {suffix: FOLDER_2 / f"lexical.{suffix}" for suffix in SUFFIXES}
    with closing(LexicalReader([(files, len(TEXTS_2))], ["golden"])) as reader:
        assert reader.search(question_words(question, ("",)), 9)[2].tolist() == rows


@pytest.mark.parametrize(("folder", "analysis"), [*zip((FOLDER, FOLDER_2), ANALYSES, strict=True)])
def test_the_same_rows_are_written_as_the_same_bytes(folder: Path, analysis: str, tmp_path: Path):
    """When this fails, add an analysis: old files stay readable as long as the name is known."""
    write(analysis, tmp_path)
    for name in SHA256:
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes(), name
    assert ANALYSES == ("tantivy-0.27-folded-stems-1", "tantivy-0.27-folded-stems-2")


if __name__ == "__main__":
    for target, way in zip((FOLDER, FOLDER_2), ANALYSES, strict=True):
        target.mkdir(exist_ok=True)
        with TemporaryDirectory() as made:
            write(way, Path(made))
            for path in sorted(Path(made).iterdir()):
                if not (target / path.name).exists():
                    (target / path.name).write_bytes(path.read_bytes())
