"""The command that tries refused documents again, with what gives it a better chance; pure."""

from shlex import quote

_SETTINGS = {
    "no-text": "--set ocr=auto",
    "unsupported": "--set tika_url=http://HOST:9998",
    "too-large": "--set max_document_mib=2048",
    "timeout": "--set parse_timeout_s=600",
    "memory": "--set parse_memory_mib=4096",
}


def retry_command(collection: str, reason: str) -> str:
    """Return what tries the documents again that were refused for a reason."""
    more = _SETTINGS.get(reason, "")
    return f"nightpress run --collection {quote(collection)} --retry-rejected {more}".strip()
