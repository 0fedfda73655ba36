"""How a store in S3 is reached: where it is, who asks, and how long to wait."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from index_store.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteOptions:
    """Settings of a connection; what is None is looked up as every AWS program does.

    Attributes:
        endpoint_url: Address of the server; None means AWS, or what the AWS profile says.
        region: Name of the region.
        access_key: Key of an account.
        secret_key: Secret of the account; never shown.
        connect_timeout_s: Seconds to wait for a connection.
        read_timeout_s: Seconds to wait for the next bytes of an answer.
        deadline_s: Seconds that a request may take in all, beyond the time its bytes need.
        slowest_bytes_per_s: Rate at which bytes must come, however steadily they trickle.
        attempts: How often a request is tried that may be tried again.
        backoff_s: Seconds before the second attempt; doubled for each further one.
        part_bytes: Size above which an object is written in parts, and of one part.
        part_threads: Parts that are written at the same time.

    Raises:
        UsageError: A number is too small.
    """

    endpoint_url: str | None = None
    region: str | None = None
    access_key: str | None = None
    secret_key: str | None = field(default=None, repr=False)
    connect_timeout_s: float = 5.0
    read_timeout_s: float = 20.0
    deadline_s: float = 60.0
    slowest_bytes_per_s: int = 128 << 10
    attempts: int = 5
    backoff_s: float = 0.2  # with 5 attempts a request gives up after 3 s of waiting
    part_bytes: int = 8 << 20
    part_threads: int = 4

    def __post_init__(self) -> None:
        """Refuse what could never work."""
        waits = (self.connect_timeout_s, self.read_timeout_s, self.deadline_s)
        counts = (self.attempts, self.part_bytes, self.part_threads, self.slowest_bytes_per_s)
        if min(waits) <= 0 or min(counts) < 1 or self.backoff_s < 0:
            raise UsageError(f"options of a store in S3 hold a number that is too small: {self}")

    def deadline_for(self, size_bytes: int) -> float:
        """Return the seconds that a request may take which moves so many bytes."""
        return self.deadline_s + size_bytes / self.slowest_bytes_per_s


def options_from(environment: Mapping[str, str]) -> RemoteOptions:
    """Return the options that the usual AWS variables ask for.

    Keys, tokens, profiles and roles are not read here: the AWS library finds them itself.
    """
    return RemoteOptions(
        endpoint_url=_first(environment, "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
        region=_first(environment, "AWS_REGION", "AWS_DEFAULT_REGION"),
    )


def _first(environment: Mapping[str, str], *names: str) -> str | None:
    return next((environment[name] for name in names if environment.get(name)), None)
