"""Who may ask, and what they may see.

Keys are kept as hashes and compared in constant time. What a request says of its user counts only
with a key that is trusted to speak for others, such as Open WebUI's, or in a token that is signed.

Invariant: without keys everybody may ask and sees what is open to everybody; a right that cannot be
told is not there.
"""

import base64
import binascii
import hashlib
import hmac
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

import orjson
from pydantic import SecretStr

from index_store.errors import UsageError

SCOPES = frozenset({"query", "admin", "forward", "upload"})
_LINE = re.compile(r"(?P<name>[\w.-]+):(?P<scopes>[a-z,]+):(?P<hash>[0-9a-f]{64})")
GROUPS_HEADER = "x-rag-groups"
USER_HEADER = "x-openwebui-user-id"
TOKEN_HEADER = "x-openwebui-user-jwt"  # noqa: S105 - the name of a header
MAX_GROUPS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key that may be used.

    Attributes:
        name: Who holds it.
        scopes: Of SCOPES: ask questions, administer, speak for other users, upload.
        sha256: Hash of the key, 64 hexadecimal characters.
    """

    name: str
    scopes: frozenset[str]
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessOptions:
    """Who may ask.

    Attributes:
        keys: Keys that are accepted; none lets everybody ask.
        user_secret: Secret that user tokens are signed with (HS256), or None.
    """

    keys: tuple[ApiKey, ...] = ()
    user_secret: SecretStr | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks.

    Attributes:
        name: Name of the key, or "anybody".
        user: The user that it speaks for, empty when not known.
        groups: Groups of that user; None when nothing is known of them.
        scopes: What the key may do.
    """

    name: str
    user: str = ""
    groups: frozenset[str] | None = None
    scopes: frozenset[str] = SCOPES


def parse_keys(lines: tuple[str, ...]) -> tuple[ApiKey, ...]:
    """Read keys as they are set: `NAME:SCOPE,SCOPE:SHA256`.

    Raises:
        UsageError: A line has another form; the hash is not shown.
    """
    keys = []
    for number, line in enumerate(lines, start=1):
        found = _LINE.fullmatch(line.strip())
        scopes = frozenset() if found is None else frozenset(found["scopes"].split(","))
        if found is None or not scopes <= SCOPES:
            raise UsageError(
                f"api_keys: entry {number} must be NAME:SCOPES:SHA256 with scopes of "
                f"{', '.join(sorted(SCOPES))}; `nightpress key NAME` makes one"
            )
        keys.append(ApiKey(name=found["name"], scopes=scopes, sha256=found["hash"]))
    return tuple(keys)


def identify(
    headers: Mapping[str, str], options: AccessOptions, now_s: Callable[[], float] = time.time
) -> Caller | None:
    """Return who asks, or None when no accepted key is given.

    Args:
        headers: With lower-case names.
        options: Who may ask.
        now_s: Seconds since the epoch, for tokens that expire.
    """
    key = _key(headers.get("authorization", ""), options.keys)
    if options.keys and key is None:
        return None
    if key is None:
        return Caller(name="anybody", scopes=frozenset({"query"}))
    user, groups = "", None
    if options.user_secret is not None:
        claims = _claims(headers.get(TOKEN_HEADER, ""), options.user_secret, now_s())
        user = str(claims.get("sub", ""))
    elif "forward" in key.scopes:
        user = unquote(headers.get(USER_HEADER, ""))[:256]
    if "forward" in key.scopes and (user or options.user_secret is None):
        groups = _groups(headers.get(GROUPS_HEADER))
    return Caller(name=key.name, user=user, groups=groups, scopes=key.scopes)


def _key(header: str, keys: tuple[ApiKey, ...]) -> ApiKey | None:
    scheme, _, given = header.partition(" ")
    if scheme.lower() != "bearer":
        return None
    digest = hashlib.sha256(given.strip().encode("utf-8", "surrogatepass")).hexdigest()
    found = None
    for key in keys:  # all of them, so that time tells nothing
        if hmac.compare_digest(key.sha256, digest):
            found = key
    return found


def _groups(header: str | None) -> frozenset[str] | None:
    if header is None:
        return None
    names = [unquote(part).strip() for part in header.split(",")]
    return frozenset(name for name in names[:MAX_GROUPS] if name)


def _claims(token: str, secret: SecretStr, now_s: float) -> Mapping[str, object]:
    """Return what a signed token says; nothing when it is not signed so, or has expired."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    signed = f"{parts[0]}.{parts[1]}".encode()
    wanted = hmac.new(secret.get_secret_value().encode(), signed, hashlib.sha256).digest()
    try:
        if not hmac.compare_digest(_unpadded(parts[2]), wanted):
            return {}
        head, claims = orjson.loads(_unpadded(parts[0])), orjson.loads(_unpadded(parts[1]))
    except (binascii.Error, ValueError):
        return {}
    if not isinstance(head, dict) or head.get("alg") != "HS256" or not isinstance(claims, dict):
        return {}
    expires = claims.get("exp")
    return claims if isinstance(expires, int | float) and expires > now_s else {}


def _unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
