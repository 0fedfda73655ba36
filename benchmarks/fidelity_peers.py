"""One peer's text of documents; run by the interpreter of the peer's own environment.

    PEER_PYTHON benchmarks/fidelity_peers.py {unstructured|markitdown} < PATHS > JSON_LINES

Standard library and the peer alone. unstructured downloads a spaCy model at run time, which fails
without a network, so it gets a blank one with a sentence splitter, a lower bound on its cost; its
layout models are not installed, as strategy "fast" uses none. One JSON object a line: path, text,
seconds, error.
"""

import importlib.abc
import importlib.machinery
import json
import sys
import time
import types
from collections.abc import Callable

STUBBED = ("unstructured_inference", "unstructured_pytesseract", "unstructured_paddleocr")


class StubFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Answers imports of layout models with modules that hold any name as an empty class."""

    def find_spec(
        self, fullname: str, path: object = None, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Claim the stubbed packages."""
        del path, target
        if fullname.split(".", maxsplit=1)[0] in STUBBED:
            return importlib.machinery.ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        """Make an empty module."""
        return _Stub(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """Run nothing."""


class _Setting(type):
    """A class whose attributes are thresholds, which fast parsing at most compares."""

    def __getattr__(cls, name: str) -> float:
        if name.startswith("__"):
            raise AttributeError(name)
        return 0.5


class _Stub(types.ModuleType):
    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Setting(name, (), {})


def open_unstructured() -> Callable[[str], str]:
    """Return a function from a path to the text that unstructured finds."""
    sys.meta_path.insert(0, StubFinder())
    spacy = importlib.import_module("spacy")
    tokenize = importlib.import_module("unstructured.nlp.tokenize")
    partition = importlib.import_module("unstructured.partition.auto").partition

    blank = spacy.blank("en")
    blank.add_pipe("sentencizer")
    tokenize._get_nlp = lambda: blank

    def read(path: str) -> str:
        return "\n".join(str(element) for element in partition(path, strategy="fast"))

    return read


def open_markitdown() -> Callable[[str], str]:
    """Return a function from a path to the text that markitdown finds."""
    converter = importlib.import_module("markitdown").MarkItDown(enable_plugins=False)
    return lambda path: converter.convert(path).text_content


def main() -> None:
    """Read paths from standard input, write what came of each."""
    read = {"unstructured": open_unstructured, "markitdown": open_markitdown}[sys.argv[1]]()
    for line in sys.stdin:
        path = line.rstrip("\n")
        began = time.process_time()
        try:
            text, error = read(path), ""
        except Exception as problem:  # noqa: BLE001 - a peer's failure is a result
            text, error = "", f"{type(problem).__name__}: {problem}"[:200]
        spent = time.process_time() - began
        print(
            json.dumps({"path": path, "text": text, "seconds": spent, "error": error}), flush=True
        )


if __name__ == "__main__":
    main()
