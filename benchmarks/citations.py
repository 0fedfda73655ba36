"""Whether the place that a chunk cites holds the answer that the chunk holds.

    python benchmarks/citations.py E2E_DIR

E2E_DIR/*/ hold docs/, queries.jsonl with "answers", and qrels.tsv. Every chunk that holds an answer
of its question is taken; the place that it cites (page, slide, rows of a sheet, section) is read
from the parsed document, as a person would look it up, and must hold that answer too. A place as
large as its document proves nothing, so the share of the document that a place is stands beside.

The papers have hardly any headings. So the same text is written once more as Markdown, HTML and
Word, in parts and sections of two to six paragraphs, read by the parsers, and tried the same way;
and as a contract is often written, as plain text in numbered articles without any heading, short
ones (a sentence) or long ones (a paragraph). Ends with an error when one citation is wrong.
"""

import argparse
import html
import sys
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from question_sets import Set, load_all, plain

from index_store.embedder import Tokenizer
from index_store.embedders.registry import open_tokenizer
from index_store.records import Chunk
from tasks.stages.chunking.chunker import RANGE, chunk_document
from tasks.stages.chunking.clauses import Clause, enter, find_clause
from tasks.stages.chunking.options import ChunkOptions
from tasks.stages.chunking.sentences import sentence_spans
from tasks.stages.chunking.units import SECTION_CHARS
from tasks.stages.parsing.dispatch import parse_as
from tasks.stages.parsing.elements import Element, ElementKind, ParsedDocument
from tasks.stages.parsing.registry import parser_for

Lines = Sequence[tuple[int, str]]  # (level of a heading, or 0 for a paragraph; its text)
_SECTION_SIZES = (3, 2, 6, 4, 5)  # paragraphs of a section, in turns
_SECTIONS_OF_PART = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What was found so far.

    Attributes:
        shares: For each kind of place, what share of its document each cited place is.
        wrong: Citations whose place does not hold the answer.
    """

    shares: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    wrong: list[str] = field(default_factory=list)


def main() -> int:
    """Print a row for each form and kind of place; return 1 when a citation is wrong."""
    parser = argparse.ArgumentParser(description="check citations against known answers")
    parser.add_argument("sets", type=Path, metavar="E2E_DIR")
    sets = [given for given in load_all(parser.parse_args().sets) if given.answers]
    tokenizer = open_tokenizer("offline")
    print("| documents | cited | chunks with an answer | place holds it | share of its document |")
    print("|---|---|---|---|---|")
    wrong: list[str] = []
    for given in sets:
        tally = Tally()
        for name, parsed in given.documents.items():
            check(name, parsed, answers_in(given, name), tokenizer, tally)
        wrong += report(given.name, tally)
        for ending, write in WRITERS.items():
            tally = Tally()
            for name, parsed in given.documents.items():
                again = written_again(with_headings(parsed.elements), ending, write)
                check(name, again, answers_in(given, name), tokenizer, tally)
            wrong += report(f"{given.name}, in sections as {ending}", tally)
        for size, texts_of in ARTICLES.items():
            tally = Tally()
            for name, parsed in given.documents.items():
                again = written_again(articles(texts_of(parsed)), ".txt", write_text)
                check(name, again, answers_in(given, name), tokenizer, tally)
            wrong += report(f"{given.name}, in {size} articles as .txt", tally)
    for line in wrong[:20]:
        print(f"wrong: {line}")
    return int(bool(wrong))


def answers_in(given: Set, name: str) -> list[str]:
    """Return the answers of all questions that a document answers."""
    return [
        plain(answer)
        for question, answers in given.answers.items()
        if name in given.relevant[question]
        for answer in answers
    ]


def check(
    name: str, parsed: ParsedDocument, answers: Sequence[str], tokenizer: Tokenizer, tally: Tally
) -> None:
    """Look up what each chunk with an answer cites."""
    size = len(plain("\n".join(each.text for each in parsed.elements)))
    for chunk in chunk_document(parsed, ChunkOptions(), tokenizer):
        text = plain(chunk.text)
        held = [answer for answer in answers if answer in text]
        if not held:
            continue
        kind, cited = cited_place(parsed.elements, chunk)
        place = plain("\n".join(each.text for each in cited))
        for answer in held:
            tally.shares[kind].append(len(place) / size)
            if answer not in place:
                tally.wrong.append(f"{kind} in {name}: {chunk.citation}: {answer[:60]}")


def cited_place(elements: Sequence[Element], chunk: Chunk) -> tuple[str, Sequence[Element]]:
    """Return what a chunk cites, and what a person would read there."""
    cited = chunk.citation
    if cited.page is not None:
        return "page", [each for each in elements if each.page == cited.page]
    if cited.slide is not None:
        return "slide", [each for each in elements if each.slide == cited.slide]
    if cited.row_start is not None and cited.row_end is not None:
        rows = range(cited.row_start, cited.row_end)
        return "rows", [e for e in elements if e.sheet == cited.sheet and e.row in rows]
    if cited.section:
        return "section", list(section_of(elements, cited.section))
    return "document", elements


def section_of(elements: Sequence[Element], section: tuple[str, ...]) -> Iterator[Element]:
    """Yield what stands under a path of headings and clauses, or from its first to its last."""
    paths = list(paths_of(elements))
    inside = [path[: len(section)] == section for path in paths]
    if any(inside):
        yield from (each for each, taken in zip(elements, inside, strict=True) if taken)
        return
    *above, spanned = section
    first, _, last = spanned.partition(RANGE)
    begun = ended = False
    for each, path in zip(elements, paths, strict=True):
        begun = begun or path[: len(section)] == (*above, first)
        if begun and path[: len(section)] == (*above, last):
            ended = True
        elif ended:
            return
        if begun:
            yield each


def paths_of(elements: Sequence[Element]) -> Iterator[tuple[str, ...]]:
    """Yield the headings and clauses that each element stands under, as a person reads them."""
    headings: list[tuple[int, str]] = []
    clauses: tuple[Clause, ...] = ()
    for each in elements:
        if each.kind is ElementKind.HEADING:
            headings = [(level, text) for level, text in headings if level < each.level]
            headings.append((each.level, each.text[:SECTION_CHARS]))
            clauses = ()
        elif clause := find_clause(each):
            clauses = enter(clauses, clause)
        titles = (clause.title[:SECTION_CHARS] for clause in clauses)
        yield (*(text for _, text in headings), *titles)


def report(name: str, tally: Tally) -> list[str]:
    """Print a row for each kind of place; return what is wrong."""
    for kind, shares in tally.shares.items():
        right = len(shares) - sum(line.startswith(kind) for line in tally.wrong)
        print(
            f"| {name} | {kind} | {len(shares)} | {right / len(shares):.1%} "
            f"| {median(shares):.1%} |",
            flush=True,
        )
    return tally.wrong


def written_again(
    lines: Iterable[tuple[int, str]], ending: str, write: Callable[[Lines, Path], None]
) -> ParsedDocument:
    """Return a document as it is read after its lines were written."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, f"paper{ending}")
        write(list(lines), path)
        return parse_as(path, parser_for(path.name))


def paragraphs(parsed: ParsedDocument) -> Iterator[str]:
    """Yield the text of each element on one line."""
    for each in parsed.elements:
        yield " ".join(each.text.split())


def sentences(parsed: ParsedDocument) -> Iterator[str]:
    """Yield the sentences of each element, each on one line."""
    for text in paragraphs(parsed):
        yield from (text[start:end].strip() for start, end in sentence_spans(text))


def articles(texts: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Yield the texts as numbered articles, ten to a part, without any heading."""
    for number, text in enumerate(texts):
        yield 0, f"Article {number // 10 + 1}.{number % 10 + 1} {text}"


def with_headings(elements: Sequence[Element]) -> Iterator[tuple[int, str]]:
    """Yield a title, then the texts in parts and sections of a few paragraphs each."""
    yield 1, "A paper in parts"
    left = section = 0
    for each in elements:
        if not left:
            if section % _SECTIONS_OF_PART == 0:
                yield 2, f"Part {section // _SECTIONS_OF_PART + 1}"
            left = _SECTION_SIZES[section % len(_SECTION_SIZES)]
            section += 1
            yield 3, f"Matter {section}"
        left -= 1
        yield 0, " ".join(each.text.split())


def write_text(lines: Lines, path: Path) -> None:
    """Write lines as plain text."""
    path.write_text("\n\n".join(text for _, text in lines))


def write_markdown(lines: Lines, path: Path) -> None:
    """Write lines as Markdown."""
    path.write_text("\n\n".join(f"{'#' * level} {text}".strip() for level, text in lines))


def write_html(lines: Lines, path: Path) -> None:
    """Write lines as a page."""
    tags = [(f"h{level}" if level else "p", html.escape(text)) for level, text in lines]
    body = "".join(f"<{tag}>{text}</{tag}>" for tag, text in tags)
    path.write_text(f"<!doctype html><html><body><article>{body}</article></body></html>")


def write_word(lines: Lines, path: Path) -> None:
    """Write lines as a Word document."""
    word = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    links = "http://schemas.openxmlformats.org/package/2006/relationships"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    styles = "".join(
        f'<w:style w:styleId="H{level}"><w:name w:val="heading {level}"/></w:style>'
        for level in (1, 2, 3)
    )
    body = "".join(
        f'<w:p><w:pPr><w:pStyle w:val="H{level}"/></w:pPr>'
        f"<w:r><w:t>{html.escape(text)}</w:t></w:r></w:p>"
        for level, text in lines
    )
    parts = {
        "[Content_Types].xml": "<Types/>",
        "_rels/.rels": relationship(links, f"{office}/officeDocument", "word/document.xml"),
        "word/_rels/document.xml.rels": relationship(links, f"{office}/styles", "styles.xml"),
        "word/document.xml": f'<w:document xmlns:w="{word}"><w:body>{body}</w:body></w:document>',
        "word/styles.xml": f'<w:styles xmlns:w="{word}">{styles}</w:styles>',
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


def relationship(namespace: str, kind: str, target: str) -> str:
    """Return the part of a package that names one other part."""
    link = f'<Relationship Id="r1" Type="{kind}" Target="{target}"/>'
    return f'<Relationships xmlns="{namespace}">{link}</Relationships>'


ARTICLES = {"short": sentences, "long": paragraphs}
WRITERS = {".md": write_markdown, ".html": write_html, ".docx": write_word}


if __name__ == "__main__":
    sys.exit(main())
