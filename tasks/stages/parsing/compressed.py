"""Compressed text (.gz, .bz2, .xz, .zst): unfolded within bounds, then read as what it holds.

Invariant: nothing is unfolded further than the bound, whatever the file says of its size.
"""

import bz2
import gzip
import lzma
import tempfile
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path, PurePath
from typing import BinaryIO, Protocol

import zstandard

from index_store.records import Reason
from tasks.stages.parsing.children import parse_child
from tasks.stages.parsing.elements import ParsedDocument
from tasks.stages.parsing.refusal import ParseRefused, describe

_MOST_BYTES = 60 << 20  # less than a parser may write
_PIECE_BYTES = 1 << 20
_ARCHIVES = (".tar", ".tgz", ".tbz2", ".txz", ".cpio")
_TAR_MAGIC = (257, b"ustar")


class _Reader(Protocol):
    """What an opener gives."""

    def read(self, size: int, /) -> bytes: ...

    def close(self) -> None: ...


_Open = Callable[[BinaryIO], _Reader]
_OPENERS: tuple[tuple[bytes, _Open], ...] = (
    (b"\x1f\x8b", lambda stream: gzip.GzipFile(fileobj=stream)),
    (b"BZh", bz2.BZ2File),
    (b"\xfd7zXZ\x00", lzma.LZMAFile),
    (b"\x28\xb5\x2f\xfd", lambda stream: zstandard.ZstdDecompressor().stream_reader(stream)),
)
_ERRORS = (OSError, EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError)


def parse_compressed(path: Path) -> ParsedDocument:
    """Parse a .gz, .bz2, .xz or .zst file; the name before that ending tells what it holds.

    Raises:
        ParseRefused: It is damaged, unfolds to too much, or holds what cannot be indexed.
    """
    inner = PurePath(path.name).stem
    if inner.lower().endswith(_ARCHIVES) or path.suffix.lower() in _ARCHIVES:
        raise _archive()
    suffix = PurePath(inner).suffix.lower() or ".txt"
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / f"unfolded{suffix}"
        _unfold(path, target)
        with target.open("rb") as stream:
            stream.seek(_TAR_MAGIC[0])
            if stream.read(len(_TAR_MAGIC[1])) == _TAR_MAGIC[1]:
                raise _archive()
        return parse_child(target)


def _unfold(path: Path, target: Path) -> None:
    with path.open("rb") as stream, target.open("wb") as out:
        head = stream.read(6)
        opener = next((opener for magic, opener in _OPENERS if head.startswith(magic)), None)
        if opener is None:
            raise ParseRefused(Reason.CORRUPT, "the content is not compressed as its name says")
        stream.seek(0)
        left = _MOST_BYTES
        try:
            with closing(opener(stream)) as reader:
                while piece := reader.read(_PIECE_BYTES):
                    left -= len(piece)
                    if left < 0:
                        detail = f"unfolds to more than {_MOST_BYTES} bytes"
                        raise ParseRefused(Reason.TOO_LARGE, detail)
                    out.write(piece)
        except _ERRORS as error:
            raise ParseRefused(Reason.CORRUPT, describe(error)) from error


def _archive() -> ParseRefused:
    return ParseRefused(Reason.UNSUPPORTED, "an archive of files; unpack it into the source")
