"""Tell what files are without their names: our rules, and magika beside them when it is installed.

    python benchmarks/type_detection.py CORPUS_DIR

Takes the files of the corpus whose ending can be believed (the manifest expects them to be parsed)
and prints per ending how many each of the two names rightly, and milliseconds a file.
"""

import argparse
import csv
import importlib
import importlib.util
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from tasks.stages.parsing.detection import detect, detect_text
from tasks.stages.parsing.refusal import ParseRefused
from tasks.stages.parsing.registry import SUPPORTED_EXTENSIONS, parser_for

_LABELS = {
    "docx": {"docx"},
    "pptx": {"pptx"},
    "sheets": {"xlsx", "xls", "xlsb"},
    "eml": {"eml", "email", "internet_message"},
    "msg": {"outlook", "msg"},
    "notebook": {"ipynb"},
    "json": {"json", "jsonl"},
    "csv": {"csv", "tsv"},
    "text": {"txt"},
    "log": {"txt", "log"},
    "html": {"html"},
    "xml": {"xml", "svg", "rss", "docbook"},
}
_PLAIN = {"csv", "markdown", "rst", "log", "notebook"}
"""Families that our rules name no further than their kind: text, or JSON for notebooks."""


def main() -> None:
    """Run the comparison."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("corpus", type=Path)
    files = list(_files(arguments.parse_args().corpus))
    tellers: dict[str, Callable[[Path], str]] = {"rules": _by_rules}
    if importlib.util.find_spec("magika"):
        model = importlib.import_module("magika").Magika()
        tellers["magika"] = lambda path: str(model.identify_path(path).output.label)
    total = Counter(path.suffix.lower() for path in files)
    right: dict[str, Counter[str]] = {}
    for name, tell in tellers.items():
        started = time.perf_counter()
        told = [(path, tell(path)) for path in files]
        milliseconds = 1000 * (time.perf_counter() - started) / len(files)
        fits = _fits_rules if name == "rules" else _fits_label
        right[name] = Counter(path.suffix.lower() for path, found in told if fits(path, found))
        print(f"{name}: {right[name].total()} of {len(files)}, {milliseconds:.2f} ms a file")
    for ending, count in sorted(total.items()):
        print(f"{ending:7} {count:5} " + " ".join(f"{right[n][ending]:7}" for n in tellers))


def _files(corpus: Path) -> Iterator[Path]:
    with (corpus / "MANIFEST.tsv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE):
            path = corpus / row["path"]
            known = path.suffix.lower() in SUPPORTED_EXTENSIONS
            if row["expected"] == "parse" and row["path"].startswith("docs/") and known:
                yield path


def _by_rules(path: Path) -> str:
    try:
        return detect(path) or detect_text(path)
    except ParseRefused as refusal:
        return refusal.reason.value


def _fits_rules(path: Path, found: str) -> bool:
    family = parser_for(path.name).name
    return found == family or (family in _PLAIN and found in ("text", "json"))


def _fits_label(path: Path, found: str) -> bool:
    family = parser_for(path.name).name
    return found == family or found in _LABELS.get(family, ())


if __name__ == "__main__":
    main()
