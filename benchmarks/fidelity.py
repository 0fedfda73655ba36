"""How much of the text comes out, and how fast, beside unstructured (fast) and markitdown.

    PYTHONPATH=. python benchmarks/fidelity.py CORPUS_DIR RELEVANCE_DIR [--peer NAME=PYTHON ...]

NAME is `unstructured` or `markitdown`, PYTHON the interpreter of an environment of its own that has
it. Two tables from one run:

1. Fidelity: the share of the words of a reference that stand in the text that came out, in order
   (longest common subsequence), on documents whose text is known: papers and French leaflets
   rendered from the passages of the question sets, tables rendered from the articles of a law,
   pages with a plain-text twin. A document that a parser cannot read counts as nothing found.
2. Throughput: documents of the whole corpus that the peer reads too, per second of processor time;
   ours with everything it takes to isolate a document, theirs without.
"""

import argparse
import json
import re
import resource
import subprocess
import sys
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from index_store.records import Chunk
from tasks.stages.parsing.elements import ParsedDocument
from tasks.stages.parsing.isolation import ParsePool, WorkerOptions
from tasks.stages.parsing.limits import Limits
from tasks.stages.parsing.registry import SUPPORTED_EXTENSIONS, parser_for

OURS = "nightpress"
COMMON = (".pdf", ".docx", ".pptx", ".xlsx", ".html", ".md", ".csv", ".txt")
SHINGLE = 8
LEAST_SHARED = 0.5  # of a passage's shingles, in the text that any parser found
_WORD = re.compile(r"\w+")
MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """What one parser found: texts by path, and seconds of processor time by path."""

    texts: Mapping[str, str]
    seconds: Mapping[str, float]


def whole_text(options: Mapping[str, object]) -> object:
    """Make a chunker that returns all elements as one chunk."""
    del options

    def chunk(parsed: ParsedDocument) -> list[Chunk]:
        return [Chunk(text="\n".join(each.text for each in parsed.elements), tokens=1)]

    return chunk


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description="compare the text that parsers find")
    parser.add_argument("corpus", type=Path, metavar="CORPUS_DIR")
    parser.add_argument("relevance", type=Path, metavar="RELEVANCE_DIR")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=PYTHON")
    parser.add_argument("--most-mb", type=float, default=2.0, help="larger documents are left out")
    parser.add_argument("--every", type=int, default=1, help="take one document in so many")
    options = parser.parse_args()
    peers = dict(peer.split("=", 1) for peer in options.peer)
    rendered = references_of_sets(options.corpus, options.relevance)[:: options.every]
    known = [*rendered, *twins(options.corpus)]
    derived = sorted(
        path
        for path in (options.corpus / "docs" / "derived-fr").iterdir()
        if path.suffix in SUPPORTED_EXTENSIONS
    )
    mixed = sorted(
        path
        for path in (options.corpus / "docs").rglob("*")
        if path.suffix in COMMON and path.stat().st_size <= options.most_mb * MEBIBYTE
    )
    mixed = mixed[:: options.every]
    wanted = [str(path) for path, _ in known] + [str(path) for path in derived]
    found = {OURS: ours(wanted)} | {
        name: peer(name, python, wanted) for name, python in peers.items()
    }
    passages = read_passages(options.relevance, options.corpus)
    known += [
        (path, reference)
        for path in derived
        if (
            reference := from_passages(passages, [each.texts[str(path)] for each in found.values()])
        )
    ]
    print_fidelity(known, found)
    for name, python in peers.items():
        print_throughput([str(path) for path in mixed], name, python)


def ours(paths: Sequence[str], *, workers: int = 2) -> Texts:
    """Parse in the pool; the time of all children, their start included, is spread evenly."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    work = WorkerOptions(chunker="benchmarks.fidelity:whole_text")
    with ParsePool(workers, Limits(), work) as pool:
        waiting = {path: pool.submit(Path(path), parser_for(path).name) for path in paths}
        outcomes = {path: future.result() for path, future in waiting.items()}
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    texts = {
        path: outcome.chunks[0].text if outcome.chunks else "" for path, outcome in outcomes.items()
    }
    return Texts(texts=texts, seconds=dict.fromkeys(paths, spent / max(1, len(paths))))


def peer(name: str, python: str, paths: Sequence[str]) -> Texts:
    """Have a peer read documents in a process of its own."""
    script = Path(__file__).parent / "fidelity_peers.py"
    done = subprocess.run(
        [python, str(script), name],
        input="\n".join(paths),
        capture_output=True,
        text=True,
        check=False,
    )
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"path"')]
    if len(rows) < len(paths):
        sys.exit(f"{name} answered {len(rows)} of {len(paths)} documents: {done.stderr[-500:]}")
    return Texts(
        texts={row["path"]: row["text"] for row in rows},
        seconds={row["path"]: row["seconds"] for row in rows},
    )


def references_of_sets(corpus: Path, relevance: Path) -> list[tuple[Path, str]]:
    """Return documents of the end-to-end sets with the text that they were rendered from."""
    pairs = []
    for folder, texts in (("covidqa-en", "covidqa-long-a"), ("travail-fr", "travail-faq-fr-a")):
        by_title: dict[str, list[str]] = defaultdict(list)
        for line in read_lines(relevance / texts / "corpus.jsonl"):
            by_title[plain_name(line["title"])].append(line["text"])
        for path in sorted((corpus / "e2e" / folder / "docs").rglob("*.*")):
            stem = plain_name(path.stem.split("-", 1)[1])
            titles = (
                [title for title in by_title if title.startswith(stem)] if len(stem) > 9 else []
            )
            if len(titles) == 1:
                pairs.append((path, "\n".join(by_title[titles[0]])))
    return pairs


def twins(corpus: Path) -> list[tuple[Path, str]]:
    """Return pages with a plain-text twin beside them."""
    return [
        (page, page.with_suffix(".txt").read_text("utf-8", "replace"))
        for page in sorted((corpus / "docs" / "inscriptis").glob("*.html"))
        if page.with_suffix(".txt").exists()
    ]


def read_passages(relevance: Path, corpus: Path) -> list[str]:
    """Return the texts that French documents were rendered from."""
    lines = read_lines(relevance / "travail-faq-fr-a" / "corpus.jsonl")
    articles = json.loads((corpus / "docs" / "derived-fr" / "articles.json").read_bytes())
    return [line["text"] for line in lines] + [each["texte"] for each in articles]


def from_passages(passages: Iterable[str], texts: Sequence[str]) -> str:
    """Return the passages that a document holds by what any parser found, in that order."""
    found = [(" ".join(words(text)), shingles(words(text))) for text in texts]
    placed = []
    for passage in passages:
        own = shingles(words(passage))
        line, runs = max(found, key=lambda each: len(own & each[1]))
        if own and len(own & runs) >= LEAST_SHARED * len(own):
            placed.append((line.find(" ".join(words(passage)[:SHINGLE])), passage))
    return "\n".join(passage for _, passage in sorted(placed))


def print_fidelity(known: Sequence[tuple[Path, str]], found: Mapping[str, Texts]) -> None:
    """Print the mean share of words found by format."""
    shares: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for path, reference in known:
        wanted = words(reference)
        for name, texts in found.items():
            got = words(texts.texts[str(path)])
            share = common(wanted, got) / max(1, len(wanted))
            shares[path.suffix][name].append(share)
            shares["all"][name].append(share)
    print("| format | documents | " + " | ".join(found) + " |")
    print("|---|---|" + "---|" * len(found))
    for ending in sorted(shares, key=lambda each: (each == "all", each)):
        row = shares[ending]
        cells = " | ".join(f"{mean(row[name]):.3f}" for name in found)
        print(f"| {ending} | {len(row[OURS])} | {cells} |")


def print_throughput(paths: Sequence[str], name: str, python: str) -> None:
    """Print documents per second of processor time, on the documents that the peer reads."""
    theirs = peer(name, python, paths)
    read = [path for path in paths if theirs.texts[path].strip()]
    mine = ours(read, workers=1)
    rate = len(read) / sum(theirs.seconds[path] for path in read)
    own = len(read) / sum(mine.seconds.values())
    print(
        f"\n{name}: {len(read)} of {len(paths)} documents, {rate:.1f}/s; {OURS} {own:.1f}/s, "
        f"{own / rate:.1f} times as many"
    )


def words(text: str) -> list[str]:
    """Return the words of a text, without case, ligatures and hyphens at line ends."""
    folded = unicodedata.normalize("NFKC", text).replace("\u00ad", "")
    return _WORD.findall(re.sub(r"(?<=\w)-\n(?=[a-z])", "", folded).lower())


def shingles(sequence: Sequence[str]) -> set[tuple[str, ...]]:
    """Return the runs of words of a text."""
    return {tuple(sequence[at : at + SHINGLE]) for at in range(max(0, len(sequence) - SHINGLE + 1))}


def common(wanted: Sequence[str], got: Sequence[str]) -> int:
    """Return the length of the longest common subsequence, in bits of large numbers."""
    places: dict[str, int] = defaultdict(int)
    for at, word in enumerate(wanted):
        places[word] |= 1 << at
    ones = (1 << len(wanted)) - 1
    row = ones
    for word in got:
        if mask := places.get(word, 0):
            match = row & mask
            row = ((row + match) | (row - match)) & ones
    return len(wanted) - row.bit_count()


def plain_name(name: str) -> str:
    """Return the letters and digits of a name, without case and accents."""
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKD", name).casefold()))


def read_lines(path: Path) -> list[dict[str, str]]:
    """Read a file of JSON lines."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


if __name__ == "__main__":
    main()
