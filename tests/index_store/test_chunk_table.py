"""Chunk tables: what goes in comes out, the same chunks are the same bytes, damage is refused."""

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from index_store.chunk_table import (
    BATCH_ROWS,
    ChunkTable,
    ChunkTableWriter,
    StoredChunk,
    stored_chunk,
)
from index_store.errors import CorruptArtifactError, UsageError
from index_store.ids import text_hash
from index_store.records import Chunk, Citation

CITATIONS = [
    Citation(),
    Citation(page=3, section=("Title", "Part")),
    Citation(slide=2),
    Citation(sheet="Données", row_start=2, row_end=40),
]
CHUNKS = [
    stored_chunk(
        f"doc{number // 10}.txt",
        number % 10,
        Chunk(text=f"text é 日本 {number}", tokens=number, citation=CITATIONS[number % 4]),
    )
    for number in range(2500)
]


def write(path: Path, chunks: list[StoredChunk], step: int) -> bytes:
    with ChunkTableWriter(path) as writer:
        for start in range(0, len(chunks), step):
            writer.add(chunks[start : start + step])
        assert writer.rows == len(chunks)
    return path.read_bytes()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("table") / "chunks.arrow"
    write(path, CHUNKS, 2500)
    return path


def test_rows_come_back_as_they_were(path: Path):
    table = ChunkTable.open(path, rows=2500)
    assert table.rows == 2500
    assert table.read(0, 2500) == CHUNKS
    assert table.take([2499, 0, 1024, 1023, 0]) == [CHUNKS[row] for row in (2499, 0, 1024, 1023, 0)]
    assert table.take([]) == table.read(5, 5) == []
    assert table.text_hashes(1020, 1030) == [chunk.text_hash for chunk in CHUNKS[1020:1030]]
    assert table.chunk_ids(1020, 1030) == [chunk.chunk_id for chunk in CHUNKS[1020:1030]]


def test_documents_are_runs_of_rows(path: Path):
    runs = ChunkTable.open(path).documents()
    assert runs[:2] == [("doc0.txt", 0, 10), ("doc1.txt", 10, 20)]
    assert runs[-1] == ("doc249.txt", 2490, 2500)
    assert len(runs) == 250


@pytest.mark.parametrize("step", [1, 1000, 1024])
def test_portions_do_not_change_the_bytes(path: Path, tmp_path: Path, step: int):
    assert write(tmp_path / "again.arrow", CHUNKS, step) == path.read_bytes()


def test_a_table_may_be_empty(tmp_path: Path):
    write(tmp_path / "empty.arrow", [], 1)
    table = ChunkTable.open(tmp_path / "empty.arrow", rows=0)
    assert table.documents() == []


@pytest.mark.parametrize("first", [0, 1, BATCH_ROWS, 2 * BATCH_ROWS + 1])
def test_keywords_come_back_wherever_the_first_stand(tmp_path: Path, first: int):
    chunks = [
        stored_chunk(
            "a", n, Chunk(text=f"t{n}", tokens=1, keywords=("k", "é") if n >= first else ())
        )
        for n in range(2 * BATCH_ROWS + 5)
    ]
    with ChunkTableWriter(tmp_path / "x.arrow") as writer:
        writer.add(chunks[:first])
        writer.add(chunks[first:])
    table = ChunkTable.open(tmp_path / "x.arrow", rows=len(chunks))
    assert table.read(0, len(chunks)) == chunks
    assert table.take([first, 0]) == [chunks[first], chunks[0]]
    assert [path.name for path in tmp_path.iterdir()] == ["x.arrow"]


def test_a_chunk_id_covers_every_field():
    base = Chunk(text="text", tokens=1, citation=Citation())
    variants = [
        stored_chunk("a", 0, base),
        stored_chunk("b", 0, base),
        stored_chunk("a", 1, base),
        stored_chunk("a", 0, replace(base, text="texts")),
        stored_chunk("a", 0, replace(base, tokens=2)),
        stored_chunk("a", 0, replace(base, keywords=("x",))),
        stored_chunk("a", 0, replace(base, keywords=("x", ""))),
        *(
            stored_chunk("a", 0, replace(base, citation=citation))
            for citation in (
                Citation(page=1),
                Citation(slide=1),
                Citation(sheet=""),
                Citation(sheet="x"),
                Citation(row_start=1),
                Citation(row_end=1),
                Citation(section=("x",)),
                Citation(section=("x", "")),
                Citation(sheet="x", section=("x",)),
            )
        ),
    ]
    assert len({chunk.chunk_id for chunk in variants}) == len(variants)
    assert variants[0].text_hash == variants[1].text_hash == text_hash("text")


def test_another_number_of_rows_is_refused(path: Path):
    with pytest.raises(CorruptArtifactError, match="rows expected 2499, found 2500"):
        ChunkTable.open(path, rows=2499)


@pytest.mark.parametrize("data", [b"", b"ARROW1", b"nothing of the kind" * 50])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, data: bytes):
    (tmp_path / "x.arrow").write_bytes(data)
    with pytest.raises(CorruptArtifactError, match=r"x\.arrow: expected a chunk table, found"):
        ChunkTable.open(tmp_path / "x.arrow")


def test_other_columns_are_refused(tmp_path: Path):
    table = pa.table({"text": ["x"]})
    with pa.ipc.new_file(str(tmp_path / "x.arrow"), table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(CorruptArtifactError, match="expected columns of nightpress.chunks.v1"):
        ChunkTable.open(tmp_path / "x.arrow")


def test_a_missing_file_is_refused(tmp_path: Path):
    with pytest.raises(CorruptArtifactError, match="expected a chunk table, found"):
        ChunkTable.open(tmp_path / "missing.arrow")


def test_a_text_that_is_no_unicode_is_refused(tmp_path: Path):
    chunk = replace(CHUNKS[0], chunk=Chunk(text="\ud800", tokens=1))
    writer = ChunkTableWriter(tmp_path / "x.arrow")
    writer.add([chunk])
    with pytest.raises(UsageError, match="not valid unicode"):
        writer.close()


def test_a_table_may_be_closed_twice(tmp_path: Path):
    writer = ChunkTableWriter(tmp_path / "x.arrow")
    writer.add(CHUNKS[:3])
    writer.close()
    writer.close()
    assert ChunkTable.open(tmp_path / "x.arrow", rows=3).read(0, 3) == CHUNKS[:3]


def test_a_failed_build_leaves_no_finished_table(tmp_path: Path):
    def fail() -> None:
        with ChunkTableWriter(tmp_path / "x.arrow") as writer:
            writer.add(CHUNKS[:2000])
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        fail()
    with pytest.raises(CorruptArtifactError, match="expected a chunk table"):
        ChunkTable.open(tmp_path / "x.arrow")
