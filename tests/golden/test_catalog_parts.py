"""Catalog parts with every column added since format 1 began, written once and read for ever.

`python tests/golden/test_catalog_parts.py` writes what is missing; an existing file is never
replaced, because published parts are such files.
"""

from pathlib import Path

from index_store.artifacts import sha256_hex
from index_store.attributes import DocumentAttributes
from index_store.catalog import Catalog
from index_store.catalog_codec import decode_part, encode_part
from index_store.records import DocumentRecord, Quality, Reason, Rejection

FOLDER = Path(__file__).parent / "catalog_parts"
ATTRIBUTES = FOLDER / "attributes.parquet"
SHA256 = "515bcf72549a87a3b7e4f1e3a3782189b24dc45f636657446fab1a7595d83df5"
REMOVED = ["gone.txt"]


def documents() -> list[DocumentRecord]:
    """The lines of the part, sorted by uri."""
    refused = DocumentRecord(
        uri="broken.pdf",
        size_bytes=10,
        mtime_ns=1,
        content_hash="b" * 64,
        work_key="work",
        rejection=Rejection(reason=Reason.NO_TEXT, detail="0 words", parser="pdf 1"),
        quality=Quality.NONE,
    )
    guide = DocumentRecord(
        uri="guide.md",
        size_bytes=100,
        mtime_ns=1_700_000_000_123_456_789,
        content_hash="c" * 64,
        work_key="work",
        indexed_hash="c" * 64,
        shard="5" * 64,
        row_start=0,
        row_end=4,
        shard_uri="guide.md",
        tokens=40,
        attributes=DocumentAttributes(
            title="Le guide",
            url="https://example.org/guide",
            date="2024-02-29",
            language="fr",
            media_type="markdown",
            document_type="guideline",
            theme="congés",
            keywords=("congé", "préavis"),
            groups=("staff",),
            extra={"number": "7"},
        ),
        quality=Quality.GOOD,
    )
    nobody = DocumentRecord(
        uri="unjudged.txt",
        size_bytes=1,
        mtime_ns=2,
        content_hash="d" * 64,
        work_key="work",
        indexed_hash="d" * 64,
        attributes=DocumentAttributes(groups=()),
    )
    return [refused, guide, nobody]


def test_a_golden_part_is_read_as_it_was_written():
    data = ATTRIBUTES.read_bytes()
    assert sha256_hex(data) == SHA256
    lines = decode_part(data, 4, "golden")
    assert lines.column("uri").to_pylist() == ["broken.pdf", "gone.txt", "guide.md", "unjudged.txt"]
    assert list(Catalog([lines]).records()) == documents()


if __name__ == "__main__":
    if not ATTRIBUTES.exists():
        ATTRIBUTES.write_bytes(encode_part(documents(), REMOVED))
