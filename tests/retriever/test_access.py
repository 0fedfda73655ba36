import base64
import hashlib
import hmac
import json

import pytest
from pydantic import SecretStr

from index_store.errors import UsageError
from retriever.access import AccessOptions, identify, parse_keys

SECRET = "shared"  # noqa: S105 - of the test


def line(name: str, scopes: str) -> str:
    return f"{name}:{scopes}:{hashlib.sha256(name.encode()).hexdigest()}"


def key_line(name: str, scopes: str) -> AccessOptions:
    """Let one key in, which is its own name."""
    return AccessOptions(keys=parse_keys((line(name, scopes),)))


def token(claims: dict[str, object], secret: str = SECRET, algorithm: str = "HS256") -> str:
    def part(value: dict[str, object]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    signed = f"{part({'alg': algorithm})}.{part(claims)}"
    mac = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"


def asked(headers: dict[str, str], *, signed: bool = False):
    keys = parse_keys((line("alice", "query"), line("webui", "query,forward")))
    options = AccessOptions(keys=keys, user_secret=SecretStr(SECRET) if signed else None)
    return identify(headers, options, lambda: 1000.0)


def test_only_a_trusted_key_speaks_for_users_and_groups():
    told = {"x-rag-groups": "staff,légal", "x-openwebui-user-id": "u1"}
    trusted = asked({"authorization": "Bearer webui", **told})
    assert trusted is not None
    assert (trusted.user, trusted.groups) == ("u1", frozenset({"staff", "légal"}))
    plain = asked({"authorization": "Bearer alice", **told})
    assert plain is not None
    assert (plain.user, plain.groups) == ("", None)
    assert asked({"authorization": "Bearer mallory", **told}) is None


@pytest.mark.parametrize(
    ("given", "user", "groups"),
    [
        (token({"sub": "u1", "exp": 2000}), "u1", frozenset({"staff"})),
        (token({"sub": "u1", "exp": 900}), "", None),
        (token({"sub": "u1"}), "", None),
        (token({"sub": "u1", "exp": 2000}, secret="another"), "", None),  # noqa: S106
        (token({"sub": "u1", "exp": 2000}, algorithm="none"), "", None),
        ("a.b.c", "", None),
        ("", "", None),
    ],
)
def test_a_user_token_counts_only_when_it_is_signed_and_fresh(
    given: str, user: str, groups: frozenset[str] | None
):
    headers = {
        "authorization": "Bearer webui",
        "x-openwebui-user-jwt": given,
        "x-rag-groups": "staff",
    }
    caller = asked(headers, signed=True)
    assert caller is not None
    assert (caller.user, caller.groups) == (user, groups)


def test_without_keys_everybody_may_ask_and_nobody_has_groups():
    caller = identify({"x-rag-groups": "staff"}, AccessOptions())
    assert caller is not None
    assert (caller.name, caller.groups) == ("anybody", None)


@pytest.mark.parametrize("bad", ["alice", "alice:query:short", "alice:root:" + "0" * 64])
def test_a_key_that_is_none_is_told_by_its_place(bad: str):
    with pytest.raises(UsageError, match="api_keys: entry 1 must be NAME:SCOPES:SHA256"):
        parse_keys((bad,))
