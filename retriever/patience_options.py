"""How slow those at the other end of a connection may be."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How slow others may be.

    Attributes:
        head_s: Seconds for the head of a request, and for the rest of a body that was refused.
        reader_s: Seconds in which a reader has to take in what was sent.
        body_s: Seconds for the body of a request, beside one for every 16 KiB of it.
        connections: Connections at the same time.
    """

    head_s: float = 10.0
    reader_s: float = 30.0
    body_s: float = 30.0
    connections: int = 512
