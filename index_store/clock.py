"""Where time and chance enter: everything that needs them is given these, or a test's own."""

import secrets
import time
from datetime import UTC, datetime


def system_clock_ms() -> int:
    """Return the time of this machine, milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def system_day() -> str:
    """Return today in UTC as YYYY-MM-DD."""
    return datetime.now(UTC).date().isoformat()


def random_nonce() -> str:
    """Return 32 hexadecimal characters that nobody else will ever draw."""
    return secrets.token_hex(16)
