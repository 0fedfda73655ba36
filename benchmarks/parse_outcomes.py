"""Compare what becomes of real documents with what a manifest expects.

    python benchmarks/parse_outcomes.py CORPUS_DIR [--manifest FILE] [--workers 2] [--wall 120]

The manifest is tab-separated with a header; it has at least the columns path and expected. Prints
the agreement per format, every disagreement with its reason, the slowest documents and the rate.
"""

import argparse
import ast
import csv
import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from index_store.records import Chunk, Reason
from tasks.stages.parsing.elements import ParsedDocument
from tasks.stages.parsing.isolation import ParsePool, WorkerOptions
from tasks.stages.parsing.limits import Limits
from tasks.stages.parsing.outcome import Outcome
from tasks.stages.parsing.registry import SUPPORTED_EXTENSIONS, parser_for

_REFUSALS = {
    "no-text": {Reason.NO_TEXT, Reason.EMPTY},
    "empty": {Reason.NO_TEXT, Reason.EMPTY},
    "error (encrypted)": {Reason.ENCRYPTED},
    "limit": {Reason.TOO_LARGE, Reason.TIMEOUT, Reason.MEMORY, Reason.CORRUPT, Reason.CRASHED},
}
_UNTOLD = ("n/a", "see ", "skip", "once")
"""What a manifest says of entries that are no documents, or that only a scan can judge."""
_SLOWEST = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One document of the corpus: what was expected and what came."""

    path: str
    expected: str
    outcome: Outcome

    @property
    def got(self) -> str:
        """What became of the document, in a word."""
        rejection = self.outcome.rejection
        return "parse" if rejection is None else rejection.reason.value

    @property
    def agrees(self) -> bool:
        """Whether the outcome is one that the manifest allows."""
        rejection = self.outcome.rejection
        expected = self.expected.lower()
        if rejection is None:
            return "parse" in expected or "text" in expected.replace("no-text", "")
        for words, reasons in _REFUSALS.items():
            if expected.startswith(words):
                return rejection.reason in reasons
        return any(word in expected for word in ("error", "skip", "limit", "empty"))


def whole_elements(_: dict[str, object]) -> "type[_Elements]":
    """Return a chunker that makes a chunk of every element."""
    return _Elements


class _Elements(tuple[Chunk, ...]):
    __slots__ = ()

    def __new__(cls, parsed: ParsedDocument) -> "_Elements":
        return super().__new__(cls, (Chunk(text=e.text, tokens=0) for e in parsed.elements))


def main() -> None:
    """Run the comparison."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("corpus", type=Path)
    arguments.add_argument("--manifest", type=Path)
    arguments.add_argument("--workers", type=int, default=2)
    arguments.add_argument("--wall", type=float, default=120.0)
    options = arguments.parse_args()
    manifest = options.manifest or options.corpus / "MANIFEST.tsv"
    entries = list(_entries(manifest, options.corpus))
    started = time.monotonic()
    results = _run(options.corpus, entries, options.workers, Limits(wall_s=options.wall))
    _report(results, time.monotonic() - started)


def _entries(manifest: Path, corpus: Path) -> Iterator[tuple[str, str]]:
    with manifest.open(encoding="utf-8", errors="surrogateescape", newline="") as stream:
        for row in csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE):
            path = row["path"]
            if path.startswith(("'", '"')):
                path = str(ast.literal_eval(path))
            supported = Path(path).suffix.lower() in SUPPORTED_EXTENSIONS
            told = not row["expected"].startswith(_UNTOLD)
            if supported and told and (corpus / path).is_file():
                yield path, row["expected"]


def _run(
    corpus: Path, entries: Sequence[tuple[str, str]], workers: int, limits: Limits
) -> list[Result]:
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)  # where children find this file
    work = WorkerOptions(chunker="parse_outcomes:whole_elements")
    with ParsePool(workers, limits, work) as pool:
        futures = [pool.submit(corpus / path, parser_for(path).name) for path, _ in entries]
        return [
            Result(path=path, expected=expected, outcome=future.result())
            for (path, expected), future in zip(entries, futures, strict=True)
        ]


def _report(results: Sequence[Result], seconds: float) -> None:
    totals = Counter(Path(result.path).suffix.lower() for result in results)
    agreed = Counter(Path(result.path).suffix.lower() for result in results if result.agrees)
    print("format   documents  agree")
    for extension, total in sorted(totals.items()):
        print(f"{extension:8} {total:9} {100 * agreed[extension] / total:6.1f} %")
    share = 100 * agreed.total() / max(1, totals.total())
    print(f"{'all':8} {totals.total():9} {share:6.1f} %")
    print("\noutcomes:", dict(Counter(result.got for result in results)))
    print("\ndisagreements:")
    for result in results:
        if not result.agrees:
            detail = result.outcome.rejection.detail if result.outcome.rejection else ""
            print(f"  {result.path!a}: expected {result.expected!r}, got {result.got} {detail}")
    print("\nslowest:")
    for result in sorted(results, key=lambda r: -r.outcome.seconds)[:_SLOWEST]:
        print(f"  {result.outcome.seconds:7.2f} s  {result.got:10} {result.path!a}")
    print(f"\n{len(results) / seconds:.1f} documents/s, {seconds:.1f} s in all")


if __name__ == "__main__":
    main()
