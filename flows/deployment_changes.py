"""What was done, or would be, to one thing on a Prefect server."""

from dataclasses import dataclass

CREATE, UPDATE, KEEP = "create", "update", "unchanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing on the server.

    Attributes:
        kind: Such as "deployment".
        name: Its name.
        action: `create`, `update` or `unchanged`.
        detail: What is changed of it.
    """

    kind: str
    name: str
    action: str
    detail: str = ""
