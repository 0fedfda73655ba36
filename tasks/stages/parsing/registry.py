"""Which parser reads which extension, and what identifies its work.

Invariant: names, extensions and identities are found without importing any parsing library.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath

from index_store.errors import UsageError
from tasks.stages.parsing.elements import ParsedDocument
from tasks.stages.parsing.limits import Limits

Parse = Callable[[Path], ParsedDocument]

COMMON_REVISION = 2
"""Raised when detection, decoding, normalisation or attributes change what any parser returns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParserSpec:
    """One parser.

    Attributes:
        name: Short name, also the name of the format family.
        revision: Raised when our own code changes what the parser returns.
        extensions: Lower-case extensions with their dot.
        function: Dotted name "module:function" of `parse(path) -> ParsedDocument`.
        libraries: Distributions whose version changes what the parser returns.
    """

    name: str
    revision: int
    extensions: tuple[str, ...]
    function: str
    libraries: tuple[str, ...] = ()

    def parse(self, path: Path) -> ParsedDocument:
        """Parse a file; imports what it needs on first use.

        Raises:
            ParseRefused: The document cannot be indexed.
        """
        return _load(self.function)(path)


_ROOM = "tasks.stages.parsing"
_PARSERS = (
    ParserSpec(
        name="pdf",
        revision=2,
        extensions=(".pdf",),
        function=f"{_ROOM}.pdf:parse_pdf",
        libraries=("pypdfium2", "pypdf"),
    ),
    ParserSpec(
        name="docx",
        revision=1,
        extensions=(".docx",),
        function=f"{_ROOM}.word:parse_docx",
        libraries=("lxml",),
    ),
    ParserSpec(
        name="pptx",
        revision=1,
        extensions=(".pptx",),
        function=f"{_ROOM}.slides:parse_pptx",
        libraries=("python-pptx", "lxml"),
    ),
    ParserSpec(
        name="sheets",
        revision=1,
        extensions=(".xlsx", ".xlsm", ".xls"),
        function=f"{_ROOM}.sheets:parse_sheets",
        libraries=("python-calamine", "openpyxl"),
    ),
    ParserSpec(
        name="xml-sheets",
        revision=1,
        extensions=(),
        function=f"{_ROOM}.xml_sheets:parse_xml_sheets",
        libraries=("lxml",),
    ),
    ParserSpec(
        name="html",
        revision=2,
        extensions=(".html",),
        function=f"{_ROOM}.web:parse_html",
        libraries=("selectolax", "charset-normalizer"),
    ),
    ParserSpec(
        name="csv",
        revision=1,
        extensions=(".csv",),
        function=f"{_ROOM}.delimited:parse_csv",
        libraries=("charset-normalizer",),
    ),
    ParserSpec(
        name="markdown",
        revision=2,
        extensions=(".md",),
        function=f"{_ROOM}.markdown:parse_markdown",
        libraries=("charset-normalizer", "PyYAML"),
    ),
    ParserSpec(
        name="text",
        revision=1,
        extensions=(".txt",),
        function=f"{_ROOM}.plain:parse_text",
        libraries=("charset-normalizer",),
    ),
)
_BY_NAME = {spec.name: spec for spec in _PARSERS}
_BY_EXTENSION = {extension: spec for spec in _PARSERS for extension in spec.extensions}

SUPPORTED_EXTENSIONS = frozenset(_BY_EXTENSION)
"""Lower-case extensions with their dot."""


def parser_for(name: str) -> ParserSpec:
    """Return the parser for a uri or file name, by its extension, case-insensitive.

    Raises:
        UsageError: No parser reads this extension.
    """
    extension = PurePosixPath(name).suffix.lower()
    if extension not in _BY_EXTENSION:
        raise UsageError(f"{name}: no parser for the extension {extension!r}")
    return _BY_EXTENSION[extension]


def find_parser(name: str) -> ParserSpec:
    """Return the parser of a name, or one made of a dotted name "module:function".

    Raises:
        UsageError: There is no such parser.
    """
    if name in _BY_NAME:
        return _BY_NAME[name]
    if ":" in name:
        return ParserSpec(name=name, revision=0, extensions=(), function=name)
    raise UsageError(f"parser {name}: unknown, expected one of {', '.join(sorted(_BY_NAME))}")


def parser_identity(name: str, limits: Limits) -> str:
    """Return what decides a parser's result besides the document: when it changes, parse again.

    Args:
        name: Name of a registered parser, or "module:function".
        limits: Bounds under which the parser runs; a document refused under others is due again.
    """
    spec = find_parser(name)
    libraries = [f"{library}-{_version(library)}" for library in spec.libraries]
    sizes = (limits.memory_bytes, limits.file_bytes, limits.output_bytes)
    bounds = "-".join(["limits", f"{limits.wall_s:g}s", *map(str, sizes)])
    return " ".join([f"{spec.name}/{COMMON_REVISION}.{spec.revision}", *libraries, bounds])


@lru_cache(maxsize=64)
def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "absent"


@lru_cache(maxsize=64)
def _load(function: str) -> Parse:
    module, _, attribute = function.partition(":")
    found: Parse = getattr(importlib.import_module(module), attribute)
    return found
