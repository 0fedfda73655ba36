"""Which JSON files describe which documents.

`NAME.json` describes `NAME.pdf` and every other document of that name beside it; `NAME.pdf.json`
describes `NAME.pdf` alone; the sidecar of a folder describes every document in it and below.

Invariants: a JSON file beside a document of its name that names no known field is a document of
its own; the hash of what describes a document changes when any of its sidecars does,
and with its name when one of them singles out documents by their names.
"""

import hashlib
import os
import re
import stat
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import orjson

from index_store.ids import WORK_SCHEME, hex_digest
from tasks.stages.sidecars.chapters import is_chapter
from tasks.stages.sidecars.fields import field_of, names_a_field

ENDING = ".json"
MAX_BYTES = 1 << 20  # a sidecar of a 400-page guide with every keyword has 40 kB

_NAMES = re.compile(rb"[\"']([^\"'\n]{1,60})[\"']\s*:")
_OPENS = re.compile(rb"(?:\xef\xbb\xbf)?\s*\{")


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """The sidecars of one document.

    Attributes:
        paths: From the outermost folder's to the document's own.
        digest: Hash of their contents, empty when there are none.
    """

    paths: tuple[str, ...] = ()
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """What became of the candidates.

    Attributes:
        descriptions: By uri, of every document that has a sidecar.
        documents: Candidates that are no sidecar, by uri.
    """

    descriptions: Mapping[str, Description] = field(default_factory=dict)
    documents: Mapping[str, str] = field(default_factory=dict)


def pair_sidecars(
    candidates: Mapping[str, str], documents: Iterable[str], folder_name: str
) -> Pairing:
    """Settle which candidates are sidecars, and of what.

    Args:
        candidates: Paths of JSON files by uri.
        documents: Uris of the documents that are certain, none of them a candidate.
        folder_name: Name of the sidecar of a folder; empty when folders have none.
    """
    contents = {uri: _content(path) for uri, path in candidates.items()}
    folders = {_folder(uri): uri for uri in candidates if folder_name and _name(uri) == folder_name}
    uris = [*documents]
    own = _own_sidecars(contents, uris, set(folders.values()))
    described = {uri for found in own.values() for uri in found}
    left = {
        uri: path
        for uri, path in candidates.items()
        if uri not in described and _name(uri) != folder_name
    }
    chain = _chains(folders)
    descriptions = {}
    for uri in (*uris, *left):
        sidecars = (*chain(_folder(uri)), *own.get(uri, ()))
        if sidecars:
            names = [_name(uri) for each in sidecars if contents[each].singles_out][:1]
            hashes = (contents[each].sha256 for each in sidecars)
            digest = hex_digest(WORK_SCHEME, "sidecars", *hashes, *names)
            paths = tuple(candidates[each] for each in sidecars)
            descriptions[uri] = Description(paths=paths, digest=digest)
    return Pairing(descriptions=descriptions, documents=left)


@dataclass(frozen=True, slots=True)
class _Content:
    sha256: str
    is_metadata: bool
    singles_out: bool = False  # whether it may say different things of different names


def _own_sidecars(
    contents: Mapping[str, _Content], documents: Iterable[str], folders: set[str]
) -> dict[str, list[str]]:
    """Return the sidecars of each document, that of its whole name last."""
    named: dict[str, str] = {
        uri.removesuffix(uri[-len(ENDING) :]): uri
        for uri, content in sorted(contents.items())
        if content.is_metadata and uri not in folders
    }
    own: dict[str, list[str]] = defaultdict(list)
    for uri in documents:
        stem = uri[: uri.rfind(".")] if "." in _name(uri) else uri
        own_names = [named[name] for name in (stem, uri) if name in named]
        if own_names:
            own[uri] += own_names
    return own


def _chains(folders: Mapping[str, str]) -> Callable[[str], tuple[str, ...]]:
    """Return a function from a folder to the sidecars of it and of those around it."""
    known: dict[str, tuple[str, ...]] = {}

    def chain(folder: str) -> tuple[str, ...]:
        if folder not in known:
            above = chain(_folder(folder)) if folder else ()
            known[folder] = (*above, folders[folder]) if folder in folders else above
        return known[folder]

    return chain


def _folder(uri: str) -> str:
    return uri.rpartition("/")[0]


def _name(uri: str) -> str:
    return uri.rpartition("/")[2]


def _content(path: str) -> _Content:
    """Read a candidate; one that cannot be read counts as a sidecar, which its reader refuses."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return _Content("unreadable", is_metadata=True)
    with os.fdopen(descriptor, "rb") as stream:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode) or state.st_size > MAX_BYTES:
            return _Content("", is_metadata=False)
        data = stream.read()
    names = {name.decode("utf-8", "replace") for name in _NAMES.findall(data)}
    return _Content(
        hashlib.sha256(data).hexdigest(),
        is_metadata=_is_metadata(data),
        singles_out=any(field_of(name) == "documents" for name in names),
    )


def _is_metadata(data: bytes) -> bool:
    if not _OPENS.match(data):
        return False
    try:
        content = orjson.loads(data.removeprefix(b"\xef\xbb\xbf"))
    except ValueError:  # mended later; here it is enough that some name in it is known
        found = [name.decode("utf-8", "replace") for name in _NAMES.findall(data)]
        return names_a_field(found)
    return isinstance(content, dict) and (
        names_a_field(content) or any(is_chapter(name, each) for name, each in content.items())
    )
