"""Length-prefixed frames over pipes.

Invariant: a frame is 8 bytes of big-endian length and that many bytes of payload.
"""

import os
import select
import time
from enum import Enum

_PREFIX_BYTES = 8
_PIECE_BYTES = 1 << 20


class Silence(Enum):
    """Why no frame came."""

    ENDED = "ended"  # the other side closed its end
    LATE = "late"  # the deadline passed
    FLOOD = "flood"  # the frame announced is over the limit


def write_frame(descriptor: int, payload: bytes) -> None:
    """Write one frame to a blocking descriptor.

    Raises:
        OSError: The other side is gone.
    """
    data = memoryview(len(payload).to_bytes(_PREFIX_BYTES, "big") + payload)
    while data:
        data = data[os.write(descriptor, data) :]


def read_frame(
    descriptor: int, *, deadline: float | None, limit_bytes: int | None
) -> bytes | Silence:
    """Read one frame.

    Args:
        descriptor: Readable pipe.
        deadline: Instant of `time.monotonic` after which to give up, or None to wait for ever.
        limit_bytes: Largest payload that is accepted, or None.
    """
    prefix = _read_exactly(descriptor, _PREFIX_BYTES, deadline)
    if isinstance(prefix, Silence):
        return prefix
    length = int.from_bytes(prefix, "big")
    if limit_bytes is not None and length > limit_bytes:
        return Silence.FLOOD
    return _read_exactly(descriptor, length, deadline)


def _read_exactly(descriptor: int, length: int, deadline: float | None) -> bytes | Silence:
    data = bytearray()
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    while len(data) < length:
        if deadline is not None:
            left_s = deadline - time.monotonic()
            if left_s <= 0 or not poller.poll(left_s * 1000):
                return Silence.LATE
        piece = os.read(descriptor, min(length - len(data), _PIECE_BYTES))
        if not piece:
            return Silence.ENDED
        data += piece
    return bytes(data)
