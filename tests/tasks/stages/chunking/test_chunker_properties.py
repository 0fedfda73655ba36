"""What holds for every document, tried on random ones."""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index_store.embedder import Tokenizer
from index_store.embedders.registry import open_tokenizer
from tasks.stages.chunking.chunker import chunk_document
from tasks.stages.chunking.options import ChunkOptions
from tasks.stages.parsing.elements import Element, ElementKind, ParsedDocument

TOKENIZERS = {name: open_tokenizer(name) for name in ("hashing", "offline")}

LATIN = st.text("abcdefghijklmnoprstuvéèàç.,;!? ", min_size=1, max_size=40)
WORDS = st.lists(LATIN, min_size=1, max_size=60).map(" ".join)
CJK = st.text("契約書を作成する。新しい、天気がいい！", min_size=1, max_size=400)
EMOJI = st.text("😀👩‍👩‍👧🏽e\u0301 ", min_size=1, max_size=120)
GIANT = st.text("abcXYZ019+/=", min_size=200, max_size=1500)
ODD = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300)
TEXT = st.one_of(WORDS, CJK, EMOJI, GIANT, ODD).map(str.strip).filter(bool)

KINDS = st.sampled_from(list(ElementKind))


@st.composite
def documents(draw: st.DrawFn) -> ParsedDocument:
    elements = []
    page = 1
    headers = ("", "alpha | beta", "a header of many words " * 20)
    for _ in range(draw(st.integers(1, 12))):
        kind = draw(KINDS)
        page += draw(st.booleans())
        is_row = kind is ElementKind.TABLE_ROW
        elements.append(
            Element(
                kind=kind,
                text=draw(TEXT),
                level=draw(st.integers(1, 4)) if kind is ElementKind.HEADING else 0,
                page=page,
                row=len(elements) + 1 if is_row else None,
                header=draw(st.sampled_from(headers)).strip() if is_row else "",
            )
        )
    return ParsedDocument(elements=tuple(elements))


OPTIONS = st.sampled_from(
    [
        ChunkOptions(max_tokens=32, overlap_tokens=8, min_chars=0),
        ChunkOptions(max_tokens=100, overlap_tokens=50, min_chars=0),
        ChunkOptions(min_chars=0),
    ]
)


def packed(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize("name", TOKENIZERS)
@settings(max_examples=150, deadline=None)
@given(parsed=documents(), options=OPTIONS)
def test_counts_are_exact_and_never_over_the_limit(
    name: str, parsed: ParsedDocument, options: ChunkOptions
):
    tokenizer = TOKENIZERS[name]
    for chunk in chunk_document(parsed, options, tokenizer):
        assert chunk.text.strip()
        assert chunk.tokens == sum(tokenizer.count(chunk.text.split()))
        assert chunk.tokens <= options.max_tokens


@settings(max_examples=150, deadline=None)
@given(parsed=documents(), options=OPTIONS)
def test_no_text_is_lost_and_order_is_kept(parsed: ParsedDocument, options: ChunkOptions):
    plain = replace(options, overlap_tokens=0)
    bare = ParsedDocument(elements=tuple(replace(e, header="") for e in parsed.elements))
    found = chunk_document(bare, plain, TOKENIZERS["hashing"])
    written = packed("".join(element.text for element in bare.elements))
    assert packed("".join(chunk.text for chunk in found)) == written


@settings(max_examples=150, deadline=None)
@given(parsed=documents(), options=OPTIONS)
def test_every_word_of_every_element_is_in_some_chunk(
    parsed: ParsedDocument, options: ChunkOptions
):
    tokenizer = TOKENIZERS["offline"]
    chunks = chunk_document(parsed, options, tokenizer)
    kept = {word for chunk in chunks for word in chunk.text.split()}
    for element in parsed.elements:
        for word in (element.text + " " + element.header).split():
            (count,) = tokenizer.count([word])
            assert word in kept or count > options.max_tokens // 4


@settings(max_examples=60, deadline=None)
@given(parsed=documents(), options=OPTIONS)
def test_chunks_cite_a_page_that_holds_their_text(parsed: ParsedDocument, options: ChunkOptions):
    pages: dict[int, str] = {}
    for element in parsed.elements:
        page = element.page or 0
        pages[page] = pages.get(page, "") + packed(element.text) + packed(element.header)
    for chunk in chunk_document(parsed, options, TOKENIZERS["hashing"]):
        page = chunk.citation.page or 0
        near = "".join(text for number, text in pages.items() if number <= page)
        last_line = packed(chunk.text.splitlines()[-1])
        assert last_line in pages[page] or last_line in near


@settings(max_examples=40, deadline=None)
@given(parsed=documents())
def test_same_document_gives_the_same_chunks(parsed: ParsedDocument):
    first = chunk_document(parsed, ChunkOptions(), open_tokenizer("hashing"))
    second = chunk_document(parsed, ChunkOptions(), TOKENIZERS["hashing"])
    assert first == second


def long_document(shape: str, generator: random.Random) -> list[Element]:
    words = [f"w{number}" for number in range(3000)]

    def text(sentences: int) -> str:
        parts = (generator.choices(words, k=generator.randint(5, 25)) for _ in range(sentences))
        return " ".join(" ".join(part).capitalize() + "." for part in parts)

    if shape == "table":
        return [
            Element(kind=ElementKind.TABLE_ROW, text=text(1), row=n + 1, header="a | b")
            for n in range(3000)
        ]
    if shape == "one paragraph":
        return [Element(kind=ElementKind.PARAGRAPH, text=text(2500))]
    elements = []
    for number in range(800):
        if shape == "headings" and number % 6 == 0:
            heading = Element(kind=ElementKind.HEADING, text=f"Part {number}", level=2)
            elements.append(heading)
        elements.append(Element(kind=ElementKind.PARAGRAPH, text=text(generator.randint(1, 6))))
    return elements


@pytest.mark.parametrize("shape", ["paragraphs", "headings", "table", "one paragraph"])
def test_an_edit_moves_only_the_cuts_near_it(shape: str):
    tokenizer: Tokenizer = TOKENIZERS["hashing"]
    generator = random.Random(11)  # noqa: S311
    elements = long_document(shape, generator)

    def texts(changed: list[Element]) -> set[str]:
        parsed = ParsedDocument(elements=tuple(changed))
        return {chunk.text for chunk in chunk_document(parsed, ChunkOptions(), tokenizer)}

    before = texts(elements)
    assert len(before) > 100
    new_chunks = []
    for _ in range(12):
        position = generator.randrange(len(elements))
        words = elements[position].text.split()
        words.insert(generator.randrange(len(words)), "edited")
        edited = replace(elements[position], text=" ".join(words))
        after = texts([*elements[:position], edited, *elements[position + 1 :]])
        new_chunks.append(len(after - before))
    assert sum(new_chunks) / len(new_chunks) <= 2
    assert max(new_chunks) <= 3


def test_a_paragraph_at_the_top_leaves_the_rest_as_it_was():
    generator = random.Random(12)  # noqa: S311
    elements = long_document("paragraphs", generator)
    tokenizer = TOKENIZERS["hashing"]
    top = Element(kind=ElementKind.PARAGRAPH, text="A note was added before everything else.")
    before = chunk_document(ParsedDocument(elements=tuple(elements)), ChunkOptions(), tokenizer)
    after = chunk_document(ParsedDocument(elements=(top, *elements)), ChunkOptions(), tokenizer)
    assert len({c.text for c in after} - {c.text for c in before}) <= 4
