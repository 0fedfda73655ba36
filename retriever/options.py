"""What an operator can set about the retriever, checked once at the start."""

from dataclasses import dataclass, field

from index_store.cache import CacheOptions
from index_store.embedders.remote.options import RemoteOptions
from index_store.errors import UsageError
from retriever.access import AccessOptions
from retriever.audit import AuditOptions
from retriever.chat.options import ChatOptions
from retriever.inbox import InboxOptions
from retriever.links import LinkOptions
from retriever.patience_options import Patience
from retriever.reranking import RerankOptions

_POSITIVE = (
    "poll_s",
    "retry_s",
    "default_k",
    "most_k",
    "half_life_days",
    "max_k",
    "max_query_chars",
    "max_body_bytes",
    "max_chat_bytes",
    "search_threads",
    "past_versions",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrieverOptions:
    """Options of one retriever process.

    Attributes:
        store: Address of the store.
        follow: What is served: a channel, the name of a pin, or the beginning of a version's id.
        host: Address to listen on; the default is reached from this machine only.
        port: Port to listen on, 0 for any free one.
        poll_s: Seconds between two looks at the commit log.
        retry_s: Seconds for which a version that could not be loaded is left alone.
        exact_rows: Live rows up to which a search is exact.
        default_k: Hits when a request does not say how many, as the CLI's.
        most_k: Hits that such a request grows to while few are good.
        good_score: Cosine similarity from which a hit is good, in [-1, 1].
        recency: Share of a score that the age of a document takes away, in [0, 1].
        half_life_days: Age at which half of that is taken.
        max_k: Most hits of one request.
        max_query_chars: Longest question.
        max_body_bytes: Longest request body.
        search_threads: Searches that run at the same time; others wait.
        memory_reserve_mib: MiB of memory that must be left before a new version is opened.
        patience: How slow connections may be, and how many there may be.
        drain_s: Seconds for which a process that was told to stop still takes requests.
        searches_waiting: Searches that may wait for a thread; more are refused.
        trace_url: Whole address that takes OpenTelemetry's traces; empty sends none.
        past_versions: Versions other than the live one that stay open in each collection.
        links: Where the documents themselves are served.
        cache: Where copies of a store without local files are kept; None for temporary ones.
        rerank: Who puts hits into a better order, or None.
        remote: How an embedding provider over the network is asked for the vector of a question.
        max_chat_bytes: Longest body of a chat, whose history and tools make it longer.
        chat: How questions in a chat are answered.
        access: Who may ask.
        audit: What is written down of every search.
        inbox: Where uploads go.
        requests_per_minute: Of one key and user, None for no limit.

    Raises:
        UsageError: A value is out of range; every one that is gets named.
    """

    store: str
    follow: str = "production"
    host: str = "127.0.0.1"
    port: int = 8080
    poll_s: float = 2.0
    retry_s: float = 30.0
    exact_rows: int = 50_000
    default_k: int = 5
    most_k: int = 5
    good_score: float = 0.3
    recency: float = 0.0
    half_life_days: float = 365.0
    max_k: int = 100
    max_query_chars: int = 8_000
    max_body_bytes: int = 65_536
    search_threads: int = 4
    past_versions: int = 2
    patience: Patience = field(default_factory=Patience)
    drain_s: float = 5.0
    trace_url: str = ""
    searches_waiting: int = 256
    memory_reserve_mib: int = 64
    links: LinkOptions = field(default_factory=LinkOptions)
    cache: CacheOptions | None = None
    rerank: RerankOptions | None = None
    remote: RemoteOptions = field(default_factory=RemoteOptions)
    max_chat_bytes: int = 4 << 20
    chat: ChatOptions = field(default_factory=ChatOptions)
    access: AccessOptions = field(default_factory=AccessOptions)
    audit: AuditOptions = field(default_factory=AuditOptions)
    inbox: InboxOptions = field(default_factory=InboxOptions)
    requests_per_minute: float | None = None

    def __post_init__(self) -> None:
        problems = [f"{name} must be above 0" for name in _POSITIVE if getattr(self, name) <= 0]
        if self.exact_rows < 0:
            problems.append("exact_rows must not be negative")
        if not 0 <= self.port <= 65_535:
            problems.append(f"port must be between 0 and 65535, found {self.port}")
        problems += [
            f"{name} {value} is above max_k {self.max_k}"
            for name, value in (("default_k", self.default_k), ("most_k", self.most_k))
            if value > self.max_k
        ]
        if not -1.0 <= self.good_score <= 1.0:
            problems.append(f"good_score must be in [-1, 1], found {self.good_score}")
        if not 0.0 <= self.recency <= 1.0:
            problems.append(f"recency must be in [0, 1], found {self.recency}")
        if problems:
            raise UsageError("retriever options: " + "; ".join(problems))
