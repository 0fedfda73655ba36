"""Which parser reads which extension, and what identifies its work.

Invariant: names, extensions and identities are found without importing any parsing library.
"""

import hashlib
import importlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath

from index_store.errors import UsageError
from tasks.stages.parsing.elements import ParsedDocument
from tasks.stages.parsing.limits import Limits
from tasks.stages.parsing.parse_options import DEFAULT_OPTIONS, OcrMode, ParseOptions
from tasks.stages.parsing.recognition import engine

Parse = Callable[[Path], ParsedDocument]

COMMON_REVISION = 3
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
        programs: Programs of the system whose presence changes what the parser returns.
        is_text: Whether its documents are plain text, so that only their name tells what they are.
        has_children: Whether its documents hold documents of other parsers.
        heeds: Names of the `ParseOptions` that change what the parser returns.
    """

    name: str
    revision: int
    extensions: tuple[str, ...]
    function: str
    libraries: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    is_text: bool = False
    has_children: bool = False
    heeds: tuple[str, ...] = ()

    def parse(self, path: Path) -> ParsedDocument:
        """Parse a file; imports what it needs on first use.

        Raises:
            ParseRefused: The document cannot be indexed.
        """
        return _load(self.function)(path)


TIKA = "tika"
"""Parser of the pages that a Tika server answers with; no extension asks for it."""

_ROOM = "tasks.stages.parsing"
_DIGEST_CHARS = 16
_LIBRE_OFFICE = ("soffice", "libreoffice")
_PARSERS = (
    ParserSpec(
        name="pdf",
        revision=5,
        extensions=(".pdf",),
        function=f"{_ROOM}.pdf:parse_pdf",
        libraries=("pypdfium2", "pypdf"),
        heeds=("ocr", "ocr_languages"),
    ),
    ParserSpec(
        name="docx",
        revision=3,
        extensions=(".docx", ".docm", ".dotx", ".dotm"),
        function=f"{_ROOM}.word:parse_docx",
        libraries=("lxml",),
    ),
    ParserSpec(
        name="pptx",
        revision=1,
        extensions=(".pptx", ".pptm", ".ppsx", ".potx"),
        function=f"{_ROOM}.slides:parse_pptx",
        libraries=("python-pptx", "lxml"),
    ),
    ParserSpec(
        name="sheets",
        revision=2,
        extensions=(".xlsx", ".xlsm", ".xls", ".xlsb"),
        function=f"{_ROOM}.sheets:parse_sheets",
        libraries=("python-calamine", "openpyxl"),
        heeds=("hidden_sheets",),
    ),
    ParserSpec(
        name="xml-sheets",
        revision=1,
        extensions=(),
        function=f"{_ROOM}.xml_sheets:parse_xml_sheets",
        libraries=("lxml",),
    ),
    ParserSpec(
        name="odt",
        revision=1,
        extensions=(".odt", ".ott"),
        function=f"{_ROOM}.open_document:parse_odt",
        libraries=("lxml",),
    ),
    ParserSpec(
        name="odp",
        revision=1,
        extensions=(".odp",),
        function=f"{_ROOM}.open_document:parse_odp",
        libraries=("lxml",),
    ),
    ParserSpec(
        name="ods",
        revision=1,
        extensions=(".ods",),
        function=f"{_ROOM}.open_document:parse_ods",
        libraries=("lxml",),
    ),
    ParserSpec(
        name="doc",
        revision=1,
        extensions=(".doc",),
        function=f"{_ROOM}.old_office:parse_doc",
        libraries=("lxml",),
        programs=_LIBRE_OFFICE,
    ),
    ParserSpec(
        name="ppt",
        revision=1,
        extensions=(".ppt",),
        function=f"{_ROOM}.old_office:parse_ppt",
        libraries=("python-pptx", "lxml"),
        programs=_LIBRE_OFFICE,
    ),
    ParserSpec(
        name="rtf",
        revision=1,
        extensions=(".rtf",),
        function=f"{_ROOM}.rtf:parse_rtf",
    ),
    ParserSpec(
        name="epub",
        revision=1,
        extensions=(".epub",),
        function=f"{_ROOM}.epub:parse_epub",
        libraries=("lxml", "selectolax"),
    ),
    ParserSpec(
        name="html",
        revision=2,
        extensions=(".html", ".htm", ".xhtml"),
        function=f"{_ROOM}.web:parse_html",
        libraries=("selectolax", "charset-normalizer"),
        is_text=True,
    ),
    ParserSpec(
        name="xml",
        revision=1,
        extensions=(".xml",),
        function=f"{_ROOM}.markup:parse_markup",
        libraries=("lxml", "selectolax"),
        is_text=True,
    ),
    ParserSpec(
        name="json",
        revision=1,
        extensions=(".json",),
        function=f"{_ROOM}.structured:parse_json",
        libraries=("selectolax",),
        is_text=True,
    ),
    ParserSpec(
        name="notebook",
        revision=1,
        extensions=(".ipynb",),
        function=f"{_ROOM}.notebook:parse_notebook",
        libraries=("selectolax",),
        is_text=True,
    ),
    ParserSpec(
        name="eml",
        revision=1,
        extensions=(".eml",),
        function=f"{_ROOM}.messages:parse_eml",
        is_text=True,
        has_children=True,
    ),
    ParserSpec(
        name="mbox",
        revision=1,
        extensions=(".mbox",),
        function=f"{_ROOM}.messages:parse_mbox",
        is_text=True,
        has_children=True,
    ),
    ParserSpec(
        name="msg",
        revision=1,
        extensions=(".msg",),
        function=f"{_ROOM}.outlook:parse_msg",
        libraries=("olefile",),
        has_children=True,
    ),
    ParserSpec(
        name="csv",
        revision=1,
        extensions=(".csv", ".tsv"),
        function=f"{_ROOM}.delimited:parse_csv",
        libraries=("charset-normalizer",),
        is_text=True,
    ),
    ParserSpec(
        name="markdown",
        revision=2,
        extensions=(".md",),
        function=f"{_ROOM}.markdown:parse_markdown",
        libraries=("charset-normalizer",),
        is_text=True,
    ),
    ParserSpec(
        name="rst",
        revision=2,
        extensions=(".rst",),
        function=f"{_ROOM}.restructured:parse_rst",
        libraries=("charset-normalizer",),
        is_text=True,
    ),
    ParserSpec(
        name="text",
        revision=1,
        extensions=(".txt",),
        function=f"{_ROOM}.plain:parse_text",
        libraries=("charset-normalizer",),
        is_text=True,
    ),
    ParserSpec(
        name="log",
        revision=1,
        extensions=(".log",),
        function=f"{_ROOM}.plain:parse_log",
        libraries=("charset-normalizer",),
        is_text=True,
    ),
    ParserSpec(
        name=TIKA,
        revision=1,
        extensions=(),
        function=f"{_ROOM}.tika_page:parse_tika_page",
        libraries=("selectolax",),
    ),
    ParserSpec(
        name="compressed",
        revision=1,
        extensions=(".gz", ".bz2", ".xz", ".zst"),
        function=f"{_ROOM}.compressed:parse_compressed",
        libraries=("zstandard",),
        has_children=True,
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


def parser_identity(name: str, limits: Limits, options: ParseOptions = DEFAULT_OPTIONS) -> str:
    """Return what decides a parser's result besides the document: when it changes, parse again.

    Args:
        name: Name of a registered parser, or "module:function".
        limits: Bounds under which the parser runs; a document refused under others is due again.
        options: What it is told besides.
    """
    spec = find_parser(name)
    libraries = _libraries(spec, options)
    if spec.has_children:
        others = " ".join(_own_identity(other, options) for other in _PARSERS)
        libraries.append(f"children-{hashlib.sha256(others.encode()).hexdigest()[:_DIGEST_CHARS]}")
    sizes = (limits.memory_bytes, limits.file_bytes, limits.output_bytes)
    bounds = "-".join(["limits", f"{limits.wall_s:g}s", *map(str, sizes)])
    return " ".join([f"{spec.name}/{COMMON_REVISION}.{spec.revision}", *libraries, bounds])


def _own_identity(spec: ParserSpec, options: ParseOptions) -> str:
    return " ".join([f"{spec.name}/{spec.revision}", *_libraries(spec, options)])


def _libraries(spec: ParserSpec, options: ParseOptions) -> list[str]:
    found = [f"{library}-{_version(library)}" for library in spec.libraries]
    if spec.programs:
        found.append(
            f"{spec.programs[0]}-{'present' if _is_installed(spec.programs) else 'absent'}"
        )
    return found + _heeded(spec, options)


def _heeded(spec: ParserSpec, options: ParseOptions) -> list[str]:
    """Return the options that the parser heeds and that are not the default."""
    told = options.as_json()
    usual = DEFAULT_OPTIONS.as_json()
    found = [f"{name}={told[name]}" for name in spec.heeds if told[name] != usual[name]]
    if "ocr" in spec.heeds and options.ocr is not OcrMode.OFF:
        found.append(engine() or "no-engine")
    return found


@lru_cache(maxsize=8)
def _is_installed(programs: tuple[str, ...]) -> bool:
    return any(shutil.which(program) for program in programs)


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
