"""Presentations in variants that python-pptx does not open, made ones that it does.

Strict documents differ from the usual transitional ones in the names of their namespaces, shows and
templates in the type of their main part.
Invariant: parts are rewritten in memory, one at a time; nothing but names changes.
"""

import io
import re
import zipfile
from pathlib import Path

_STRICT = re.compile(rb"http://purl\.oclc\.org/ooxml/(\w+)/([\w/]+)")
_RENAMED = {
    b"extendedProperties": b"extended-properties",
    b"customProperties": b"custom-properties",
}
_MAIN_TYPES = re.compile(
    rb"application/vnd\.(?:openxmlformats-officedocument\.presentationml\.(?:slideshow|template)"
    rb"|ms-powerpoint\.(?:slideshow|template)\.macroEnabled)\.main\+xml"
)
_MAIN_TYPE = b"application/vnd.openxmlformats-officedocument.presentationml.presentation.main+xml"
_CONTENT_TYPES = "[Content_Types].xml"
_ROOT_RELATIONS = "_rels/.rels"
_MARKUP = (".xml", ".rels")


def openable(archive: zipfile.ZipFile, path: Path) -> str | io.BytesIO:
    """Return what python-pptx opens: the file itself, or a copy in memory with the usual names.

    Args:
        archive: The open package.
        path: Where it is.
    """
    types = archive.read(_CONTENT_TYPES)
    names = archive.namelist()
    roots = archive.read(_ROOT_RELATIONS) if _ROOT_RELATIONS in names else b""
    if not _STRICT.search(roots) and not _MAIN_TYPES.search(types):
        return str(path)
    copy = io.BytesIO()
    with zipfile.ZipFile(copy, "w", zipfile.ZIP_STORED) as target:
        for name in dict.fromkeys(names):
            data = archive.read(name)
            target.writestr(name, _usual(data) if name.endswith(_MARKUP) else data)
    copy.seek(0)
    return copy


def _usual(data: bytes) -> bytes:
    return _MAIN_TYPES.sub(_MAIN_TYPE, _STRICT.sub(_transitional, data))


def _transitional(match: "re.Match[bytes]") -> bytes:
    rest = match[2]
    for strict, usual in _RENAMED.items():
        rest = rest.replace(strict, usual)
    return b"http://schemas.openxmlformats.org/" + match[1] + b"/2006/" + rest
