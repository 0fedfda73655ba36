"""What an edit in a long document costs: chunks that have to be embedded anew.

    python benchmarks/edits.py E2E_DIR [--pages 400] [--edits 100]

The pages of all PDFs of the sets make one document, which is cut with pages, without pages, and
without pages in paragraphs of 9,000 characters. In every few paragraphs one thing is changed: a
word more in the middle, at the beginning, a sentence more at the end, or the paragraph is removed;
last a paragraph is put before everything else. Ends with an error when a change within a paragraph
costs more than 3 new chunks, or a paragraph that comes or goes more than 4.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean

from question_sets import Set, load_all

from index_store.embedder import Tokenizer
from index_store.embedders.registry import open_tokenizer
from tasks.stages.chunking.chunker import chunk_document
from tasks.stages.chunking.options import ChunkOptions
from tasks.stages.parsing.elements import Element, ElementKind, ParsedDocument

_MOST_CHANGED, _MOST_COME_OR_GONE = 3, 4
_LONG_CHARS = 9000
_EDITED_CHARS = 80  # shorter paragraphs are captions and names
_AROUND = 150  # elements on either side of an edit that are cut again; see `costs`
_SENTENCE = "This was amended after a second reading of the draft."


def main() -> int:
    """Print a row for each form of the document; return 1 when a bound does not hold."""
    parser = argparse.ArgumentParser(description="count the chunks that edits make anew")
    parser.add_argument("sets", type=Path, metavar="E2E_DIR")
    parser.add_argument("--pages", type=int, default=400)
    parser.add_argument("--edits", type=int, default=100, help="paragraphs that are edited")
    options = parser.parse_args()
    tokenizer = open_tokenizer("offline")
    paged = long_document(load_all(options.sets), options.pages)
    flat = [replace(each, page=None) for each in paged]
    forms = {"with pages": paged, "without pages": flat, "long paragraphs": joined(flat)}
    print("| document | chunks | fill | edit | edits | new chunks, mean | most |")
    print("|---|---|---|---|---|---|---|")
    held = [report(name, form, options.edits, tokenizer) for name, form in forms.items()]
    return int(not all(held))


def report(name: str, elements: list[Element], edits: int, tokenizer: Tokenizer) -> bool:
    """Print what each kind of edit costs; return whether the bounds hold."""
    chunks = chunk_document(ParsedDocument(elements=tuple(elements)), ChunkOptions(), tokenizer)
    fill = mean(chunk.tokens for chunk in chunks) / ChunkOptions().max_tokens
    first = f"| {name} | {len(chunks)} | {fill:.2f} "
    found = [
        place
        for place, each in enumerate(elements)
        if each.kind is ElementKind.PARAGRAPH and len(each.text) > _EDITED_CHARS
    ]
    places = found[:: max(1, len(found) // edits)]
    held = True
    for kind, edit in EDITS.items():
        spent = costs(elements, places, edit, tokenizer)
        print(f"{first}| {kind} | {len(spent)} | {mean(spent):.2f} | {max(spent)} |", flush=True)
        first = "| | | "
        held &= max(spent) <= (_MOST_COME_OR_GONE if edit is removed else _MOST_CHANGED)
    top = Element(kind=ElementKind.PARAGRAPH, text="A new first paragraph. " * 6)
    top = replace(top, page=elements[0].page)
    known = texts_of(elements, tokenizer)
    inserted = len(texts_of([top, *elements], tokenizer) - known)
    print(f"{first}| a paragraph put first | 1 | {inserted} | {inserted} |", flush=True)
    return held and inserted <= _MOST_COME_OR_GONE


def costs(
    elements: Sequence[Element],
    places: Sequence[int],
    edit: Callable[[Element], list[Element]],
    tokenizer: Tokenizer,
) -> list[int]:
    """Return the new chunks of each edit.

    What stands further away than `_AROUND` elements is left out, which can only add to what is
    counted: its chunks are new on both sides or on none.
    """
    spent = []
    for place in places:
        first, last = max(0, place - _AROUND), place + _AROUND + 1
        before = elements[first:last]
        after = [*elements[first:place], *edit(elements[place]), *elements[place + 1 : last]]
        spent.append(len(texts_of(after, tokenizer) - texts_of(before, tokenizer)))
    return spent


def texts_of(elements: Sequence[Element], tokenizer: Tokenizer) -> set[str]:
    """Return the texts of a document's chunks."""
    parsed = ParsedDocument(elements=tuple(elements))
    return {chunk.text for chunk in chunk_document(parsed, ChunkOptions(), tokenizer)}


def word_in_the_middle(element: Element) -> list[Element]:
    """Return an element with one word more in its middle."""
    words = element.text.split()
    words.insert(len(words) // 2, "amended")
    return [replace(element, text=" ".join(words))]


def word_at_the_beginning(element: Element) -> list[Element]:
    """Return an element that begins with another word."""
    return [replace(element, text=f"Amended: {element.text}")]


def sentence_at_the_end(element: Element) -> list[Element]:
    """Return an element with one sentence more."""
    return [replace(element, text=f"{element.text} {_SENTENCE}")]


def removed(_: Element) -> list[Element]:
    """Return nothing."""
    return []


EDITS = {
    "a word in the middle": word_in_the_middle,
    "a word at the beginning": word_at_the_beginning,
    "a sentence at the end": sentence_at_the_end,
    "paragraph removed": removed,
}


def long_document(sets: Sequence[Set], pages: int) -> list[Element]:
    """Return the elements of the pages of all PDFs, numbered through, over and over."""
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
                        return elements
                    elements.append(replace(each, page=number))
    return elements


def joined(elements: Sequence[Element]) -> list[Element]:
    """Return the same text in paragraphs that run over many chunks."""
    found: list[Element] = []
    for each in elements:
        last = found[-1] if found else each
        if (
            found
            and each.kind is last.kind is ElementKind.PARAGRAPH
            and len(last.text) < _LONG_CHARS
        ):
            found[-1] = replace(last, text=f"{last.text} {each.text}")
        else:
            found.append(each)
    return found


if __name__ == "__main__":
    sys.exit(main())
