"""Whether citations hold, what an edit costs, and which splitter finds more.

    python benchmarks/cited_answers.py E2E_DIR [--pages 400]

E2E_DIR/*/ hold docs/, queries.jsonl (with "answers" where they are known) and qrels.tsv. Printed:

1. Citations: of the chunks that hold the answer of a question, the share whose cited page or
   section, read from the parsed document, holds it too; by what is cited, with the share of the
   document that this is. A place as large as its document proves nothing.
2. Stability: chunks that have to be embedded anew when one paragraph of a long document is edited,
   and when one is inserted at its top.
3. Retrieval: nDCG@10 over documents by the offline embedder, structure against fixed windows, with
   and without a context line.
"""

import argparse
import json
import math
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np

from index_store.embedder import Tokenizer
from index_store.embedders.offline import OfflineEmbedder
from index_store.records import Chunk
from tasks.stages.chunking.chunker import chunk_document
from tasks.stages.chunking.options import WINDOW, ChunkOptions
from tasks.stages.parsing.dispatch import parse_as
from tasks.stages.parsing.elements import Element, ElementKind, ParsedDocument
from tasks.stages.parsing.normalisation import one_line
from tasks.stages.parsing.registry import parser_for

EDITS = 40
SPLITTERS = {
    "structure": ChunkOptions(),
    "window": ChunkOptions(splitter=WINDOW),
    "structure, context line": ChunkOptions(context_line=True),
    "window, context line": ChunkOptions(splitter=WINDOW, context_line=True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Set:
    """One end-to-end set: parsed documents, questions, answers and judgements."""

    name: str
    documents: dict[str, ParsedDocument]
    questions: dict[str, str]
    answers: dict[str, list[str]]
    relevant: dict[str, set[str]]


def main() -> None:
    """Print the three parts."""
    parser = argparse.ArgumentParser(description="check citations, stability and splitters")
    parser.add_argument("sets", type=Path, metavar="E2E_DIR")
    parser.add_argument(
        "--pages", type=int, default=400, help="pages of the document that is edited"
    )
    options = parser.parse_args()
    sets = [load(path.parent) for path in sorted(options.sets.glob("*/qrels.tsv"))]
    if not sets:
        sys.exit(f"no question sets in {options.sets}")
    embedder = OfflineEmbedder(threads=2)
    for each in sets:
        print_citations(each, embedder.tokenizer)
    print_stability(sets, options.pages, embedder.tokenizer)
    print_retrieval(sets, embedder)


def load(folder: Path) -> Set:
    """Parse the documents of a set and read its questions."""
    root = folder / "docs"
    paths = [path for path in sorted(root.rglob("*")) if path.is_file()]
    lines = [json.loads(line) for line in (folder / "queries.jsonl").read_text().splitlines()]
    relevant: dict[str, set[str]] = defaultdict(set)
    for row in (folder / "qrels.tsv").read_text().splitlines()[1:]:
        question, path, _ = row.split("\t")
        relevant[question].add(path)
    return Set(
        name=folder.name,
        documents={
            str(path.relative_to(root)): parse_as(path, parser_for(path.name)) for path in paths
        },
        questions={line["_id"]: line["text"] for line in lines},
        answers={line["_id"]: line["answers"] for line in lines if line.get("answers")},
        relevant=relevant,
    )


def print_citations(given: Set, tokenizer: Tokenizer) -> None:
    """Print how many chunks with an answer cite a place that holds it."""
    places: dict[str, list[float]] = defaultdict(list)  # share of the document cited
    wrong: list[str] = []
    chunks = {
        name: chunk_document(parsed, ChunkOptions(), tokenizer)
        for name, parsed in given.documents.items()
    }
    whole = {
        name: plain("\n".join(each.text for each in parsed.elements))
        for name, parsed in given.documents.items()
    }
    for question, answers in given.answers.items():
        for name in given.relevant[question]:
            for chunk in chunks[name]:
                found = [answer for answer in map(plain, answers) if answer in plain(chunk.text)]
                if not found:
                    continue
                place = plain(cited_text(given.documents[name], chunk))
                places[cited_kind(chunk)].append(len(place) / len(whole[name]))
                if not any(answer in place for answer in found):
                    wrong.append(f"{name}: {chunk.citation}")
    held = sum(map(len, places.values()))
    if held:
        share = 1 - len(wrong) / held
        print(f"{given.name}: {held} chunks hold an answer, {share:.1%} cite its place")
    for kind, shares in places.items():
        print(f"  {len(shares)} cite a {kind}, {median(shares):.0%} of its document in the median")
    for line in wrong[:5]:
        print(f"  wrong: {line}")


def cited_kind(chunk: Chunk) -> str:
    """Return what a chunk cites in its document."""
    if chunk.citation.page is not None:
        return "page"
    return "section" if chunk.citation.section else "document"


def cited_text(parsed: ParsedDocument, chunk: Chunk) -> str:
    """Return the text of the place that a chunk cites, as a person would read it there."""
    cited = chunk.citation
    elements: Sequence[Element] = parsed.elements
    if cited.page is not None:
        elements = [each for each in elements if each.page == cited.page]
    elif cited.section:
        elements = section_of(elements, cited.section)
    return "\n".join(each.text for each in elements)


def section_of(elements: Sequence[Element], section: tuple[str, ...]) -> list[Element]:
    """Return what stands under a heading path."""
    path: list[tuple[int, str]] = []
    found = []
    for each in elements:
        if each.kind is ElementKind.HEADING:
            path = [(level, text) for level, text in path if level < each.level]
            path.append((each.level, each.text[:200]))
        titles = tuple(text for _, text in path)
        if titles[: len(section)] == section:
            found.append(each)
    return found


def print_stability(sets: Sequence[Set], pages: int, tokenizer: Tokenizer) -> None:
    """Print how many new texts edits and insertions make in a document of many pages."""
    document = long_document(sets, pages)
    before = texts_of(document, tokenizer)
    again = texts_of(document, tokenizer)
    print(f"\n{pages} pages, {len(before)} chunks; the same again: {before == again}")
    places = [
        number
        for number, each in enumerate(document.elements)
        if each.kind is ElementKind.PARAGRAPH and len(each.text) > 80
    ]
    known = set(before)
    edits = [
        len(set(texts_of(edited(document, place), tokenizer)) - known)
        for place in places[:: max(1, len(places) // EDITS)]
    ]
    top = replace(
        document.elements[0], kind=ElementKind.PARAGRAPH, text="A new first paragraph. " * 6
    )
    inserted = replace(document, elements=(top, *document.elements))
    new = len(set(texts_of(inserted, tokenizer)) - known)
    mean = sum(edits) / len(edits)
    print(f"{len(edits)} edits of one paragraph: {mean:.2f} new chunks, {max(edits)} at most")
    print(f"a paragraph inserted at the top: {new} new chunks")
    flat = replace(document, elements=tuple(replace(each, page=None) for each in document.elements))
    known = set(texts_of(flat, tokenizer))
    edits = [
        len(set(texts_of(edited(flat, place), tokenizer)) - known)
        for place in places[:: max(1, len(places) // EDITS)]
    ]
    inserted = replace(flat, elements=(replace(top, page=None), *flat.elements))
    new = len(set(texts_of(inserted, tokenizer)) - known)
    print(f"the same text without pages: {max(edits)} at most, {new} for the insertion")


def long_document(sets: Sequence[Set], pages: int) -> ParsedDocument:
    """Return one document of the pages of all PDFs, numbered through."""
    elements: list[Element] = []
    number = 0
    while number < pages:
        for given in sets:
            for parsed in given.documents.values():
                last = None
                for each in parsed.elements:
                    if each.page is None:
                        continue
                    number += each.page != last
                    last = each.page
                    if number > pages:
                        return ParsedDocument(elements=tuple(elements))
                    elements.append(replace(each, page=number))
    return ParsedDocument(elements=tuple(elements))


def edited(document: ParsedDocument, place: int) -> ParsedDocument:
    """Return a document with a word more in the middle of one element."""
    elements = list(document.elements)
    middle = elements[place].text.split()
    middle.insert(len(middle) // 2, "amended")
    elements[place] = replace(elements[place], text=" ".join(middle))
    return replace(document, elements=tuple(elements))


def texts_of(document: ParsedDocument, tokenizer: Tokenizer) -> list[str]:
    """Return the texts of a document's chunks."""
    return [chunk.text for chunk in chunk_document(document, ChunkOptions(), tokenizer)]


def print_retrieval(sets: Sequence[Set], embedder: OfflineEmbedder) -> None:
    """Print nDCG@10 of every splitter on every set."""
    print("\n| splitter | " + " | ".join(given.name for given in sets) + " |")
    print("|---|" + "---|" * len(sets))
    for name, options in SPLITTERS.items():
        cells = [f"{ndcg(given, options, embedder):.3f}" for given in sets]
        print(f"| {name} | " + " | ".join(cells) + " |")


def ndcg(given: Set, options: ChunkOptions, embedder: OfflineEmbedder) -> float:
    """Return the mean nDCG@10 of the questions; a document scores as its best chunk does."""
    owners: list[str] = []
    texts: list[str] = []
    for name, parsed in given.documents.items():
        for chunk in chunk_document(parsed, options, embedder.tokenizer):
            owners.append(name)
            texts.append(chunk.text)
    vectors = embedder.embed(texts)
    questions = embedder.embed(list(given.questions.values()))
    scores = questions @ vectors.T
    gains = []
    for row, question in zip(scores, given.questions, strict=True):
        ranked = list(dict.fromkeys(owners[index] for index in np.argsort(-row)[:500]))[:10]
        wanted = given.relevant[question]
        gain = sum(1 / math.log2(at + 2) for at, name in enumerate(ranked) if name in wanted)
        ideal = sum(1 / math.log2(at + 2) for at in range(min(10, len(wanted))))
        gains.append(gain / ideal if ideal else 0.0)
    return sum(gains) / len(gains)


def plain(text: str) -> str:
    """Return a text as it is compared: one line, without case."""
    return one_line(text).casefold()


if __name__ == "__main__":
    main()
