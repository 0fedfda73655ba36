"""Content-derived identifiers: canonical bytes in, full SHA-256 out.

Invariants: an id depends on nothing but the values given; every part is length-prefixed, so that
two different lists of parts never share their bytes; the scheme name is part of the hashed bytes.
"""

import hashlib

TEXT_SCHEME = "nightpress.text.v1"
CHUNK_SCHEME = "nightpress.chunk.v1"
DOCUMENT_SCHEME = "nightpress.document.v1"
SHARD_SCHEME = "nightpress.shard.v1"
VERSION_SCHEME = "nightpress.version.v1"
WORK_SCHEME = "nightpress.work.v1"


def digest(scheme: str, *parts: str | bytes | int) -> bytes:
    """Hash typed parts under a named scheme.

    Args:
        scheme: Name and version of the id scheme, one of the constants above.
        parts: Values in a fixed order. Strings are hashed as UTF-8 with lone surrogates kept.

    Returns:
        32 bytes, SHA-256 over the length-prefixed, type-tagged parts.
    """
    hasher = hashlib.sha256()
    for part in (scheme, *parts):
        tag, data = _canonical(part)
        hasher.update(tag + len(data).to_bytes(8, "big") + data)
    return hasher.digest()


def hex_digest(scheme: str, *parts: str | bytes | int) -> str:
    """Return `digest` as 64 lower-case hexadecimal characters."""
    return digest(scheme, *parts).hex()


def text_hash(text: str) -> bytes:
    """Return the 32-byte key under which the embedding of `text` is stored."""
    return digest(TEXT_SCHEME, text)


def _canonical(part: str | bytes | int) -> tuple[bytes, bytes]:
    if isinstance(part, str):
        return b"s", part.encode("utf-8", "surrogatepass")
    if isinstance(part, bytes):
        return b"b", part
    return b"i", str(int(part)).encode("ascii")
