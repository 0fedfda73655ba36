"""Fixed windows, and the line that says where a chunk stands."""

import pytest

from index_store.attributes import DocumentAttributes
from index_store.embedders.hashing import PieceTokenizer
from index_store.errors import UsageError
from tasks.stages.chunking.chunker import chunk_document
from tasks.stages.chunking.options import ChunkOptions, chunker_identity
from tasks.stages.parsing.elements import Element, ElementKind, ParsedDocument

TOKENIZER = PieceTokenizer()
WORDS = [f"word{number}" for number in range(200)]


def document(*, title: str = "", page: int | None = None) -> ParsedDocument:
    heading = Element(kind=ElementKind.HEADING, text="Head", level=1, page=page)
    body = [
        Element(kind=ElementKind.PARAGRAPH, text=" ".join(WORDS[at : at + 20]), page=page)
        for at in range(0, len(WORDS), 20)
    ]
    return ParsedDocument(elements=(heading, *body), attributes=DocumentAttributes(title=title))


def test_windows_hold_every_word_in_order_and_repeat_the_overlap():
    options = ChunkOptions(max_tokens=64, overlap_tokens=16, min_chars=0, splitter="window")
    found = chunk_document(document(page=3), options, TOKENIZER)
    seen: list[str] = []
    for chunk in found:
        words = chunk.text.split()
        assert chunk.tokens == sum(TOKENIZER.count(words)) <= 64
        assert (chunk.citation.page, chunk.citation.section) == (3, ("Head",))
        shared = sum(word in seen for word in words)
        assert words[:shared] == seen[len(seen) - shared :]
        assert shared == 0 if not seen else 0 < sum(TOKENIZER.count(words[:shared])) <= 16
        seen += words[shared:]
    assert seen == ["Head", *WORDS]


def test_windows_never_cross_a_page():
    parsed = ParsedDocument(elements=document(page=1).elements + document(page=2).elements)
    options = ChunkOptions(max_tokens=64, overlap_tokens=0, min_chars=0, splitter="window")
    found = chunk_document(parsed, options, TOKENIZER)
    texts = {page: [c.text for c in found if c.citation.page == page] for page in (1, 2)}
    assert texts[1] == texts[2]


@pytest.mark.parametrize("splitter", ["structure", "window"])
def test_a_context_line_says_where_a_chunk_stands_within_the_limit(splitter: str):
    options = ChunkOptions(
        max_tokens=64, overlap_tokens=16, min_chars=0, splitter=splitter, context_line=True
    )
    found = chunk_document(document(title="Guide"), options, TOKENIZER)
    assert all(chunk.text.startswith("Guide › Head\n") for chunk in found)
    assert all(chunk.tokens == sum(TOKENIZER.count(chunk.text.split())) <= 64 for chunk in found)
    assert {word for chunk in found for word in chunk.text.split()} >= set(WORDS)


def test_a_title_too_long_for_its_share_is_cut():
    options = ChunkOptions(max_tokens=64, overlap_tokens=0, min_chars=0, context_line=True)
    found = chunk_document(document(title="one two three four five six " * 9), options, TOKENIZER)
    assert all(chunk.tokens <= 64 for chunk in found)
    assert found[0].text.startswith("one two three")


def test_the_choice_is_part_of_the_chunkers_identity():
    made = {
        chunker_identity(options, "t")
        for options in (
            ChunkOptions(),
            ChunkOptions(splitter="window"),
            ChunkOptions(context_line=True),
        )
    }
    assert len(made) == 3


def test_a_splitter_that_is_none_is_a_users_mistake():
    with pytest.raises(UsageError, match="splitter 'lines': expected 'structure' or 'window'"):
        ChunkOptions(splitter="lines")
    with pytest.raises(UsageError, match="no room for a context line"):
        ChunkOptions(max_tokens=40, overlap_tokens=0, context_line=True)
