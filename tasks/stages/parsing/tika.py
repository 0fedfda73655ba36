"""An Apache Tika server, asked for what no parser here could read.

The server gets the file over HTTP and answers with a page of XHTML, which is then parsed like any
other hostile page, in a child process.

Invariants: a server that is away, slow or wrong costs its time limit and nothing else; no more of
an answer is read than the limit allows; redirects and proxies are not followed.
"""

import hashlib
import http.client
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from index_store.errors import UsageError

_PIECE_BYTES = 1 << 16
_MOST_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class TikaOptions:
    """Where a server is and how long it may take.

    Attributes:
        url: Address such as http://tika:9998; empty when there is none.
        timeout_s: Seconds that the server may be silent.

    Raises:
        UsageError: The address is none of HTTP.
    """

    url: str = ""
    timeout_s: float = 120.0

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if self.url and (parts.scheme not in ("http", "https") or not parts.hostname):
            raise UsageError(f"tika url {self.url!r}: expected an address such as http://tika:9998")


NO_SERVER = TikaOptions()


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """What a server made of a file.

    Attributes:
        page: XHTML.
        content_hash: SHA-256 of the bytes that were sent, 64 hexadecimal characters.
    """

    page: bytes
    content_hash: str


class TikaError(Exception):
    """The server gave no answer that can be used; the text says why."""


def extract(path: Path, options: TikaOptions) -> Extracted:
    """Have a server extract the text of a file.

    Raises:
        TikaError: It did not.
        OSError: The file cannot be read.
    """
    data_hash = hashlib.sha256()
    parts = urlsplit(options.url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=options.timeout_s)
    with path.open("rb") as stream:
        size = path.stat().st_size

        def pieces() -> Iterator[bytes]:
            while piece := stream.read(_PIECE_BYTES):
                data_hash.update(piece)
                yield piece

        headers = {
            "Accept": "text/html",
            "Content-Type": "application/octet-stream",
            "Content-Length": str(size),
        }
        try:
            connection.request("PUT", f"{parts.path.rstrip('/')}/tika", pieces(), headers)
            answer = connection.getresponse()
            page = answer.read(_MOST_BYTES + 1)
        except (OSError, http.client.HTTPException) as error:
            raise TikaError(f"no answer: {str(error) or type(error).__name__}") from error
        finally:
            connection.close()
    if answer.status != http.client.OK:
        raise TikaError(f"status {answer.status}")
    if len(page) > _MOST_BYTES:
        raise TikaError(f"more than {_MOST_BYTES} bytes came back")
    return Extracted(page=page, content_hash=data_hash.hexdigest())
