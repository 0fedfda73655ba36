"""How a provider over the network is reached, paced and paid."""

from dataclasses import dataclass, field

from pydantic import SecretStr

from index_store.embedder import RequestLimits
from index_store.errors import UsageError

MEBIBYTE = 1 << 20
PACE_FOLDER = ".nightpress/pace/"  # of a store; no collection's name begins like this


@dataclass(frozen=True, slots=True, kw_only=True)
class PaceOptions:
    """What the provider allows, and how long a run is patient.

    Attributes:
        requests_per_minute: Requests in a minute, None for no limit.
        tokens_per_minute: Tokens in a minute, None for no limit.
        shared_file: File that holds the pace of all processes of this machine; empty for this
            process alone.
        shared_store: Address of a store that holds the pace of all machines; empty for none.
        retries: Tries of one request beyond the first, when the provider is busy.
        backoff_s: Longest wait before the second try; doubles with each further one.
        backoff_cap_s: Where doubling ends.
        give_up_s: Seconds for which the provider may be out of reach before the run gives up.

    Raises:
        UsageError: A value is out of range.
    """

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    shared_file: str = ""
    shared_store: str = ""
    retries: int = 8
    backoff_s: float = 1.0
    backoff_cap_s: float = 60.0
    give_up_s: float = 900.0

    def __post_init__(self) -> None:
        for name in ("requests_per_minute", "tokens_per_minute"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise UsageError(f"{name} must be above 0, found {value}")
        if self.shared_file and self.shared_store:
            raise UsageError(
                "embed_pace_file and embed_pace_store are both set; machines that share a store "
                "need no file"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherEmbedder:
    """How the embedder on the other side of an upgrade is reached.

    Attributes:
        name: `PROVIDER`, `PROVIDER:MODEL` or `PROVIDER:MODEL@DIMENSION`.
        base_url: Address, empty for the provider's usual one.
        key: Sent to it alone; None when there is none. Never shown.
    """

    name: str
    base_url: str = ""
    key: SecretStr | None = None

    def is_meant_by(self, spec: str) -> bool:
        """Tell whether `spec`, as `open_embedder` takes it, is this embedder."""
        return spec == self.name or spec.startswith((f"{self.name}:", f"{self.name}@"))


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteOptions:
    """A provider over the network.

    Attributes:
        base_url: Address up to the provider's own paths; empty for the provider's usual one.
        key: Sent as a bearer token; None when there is none. Never shown.
        timeout_s: Seconds from the beginning of a request to the last byte of its answer.
        question_timeout_s: The same for a question that a person is waiting for.
        response_mib: MiB above which an answer is cut off.
        proxy: Address of an HTTP proxy; empty for what the environment says. Never shown, since
            it may hold a password.
        ca_bundle: File of trusted certificates; empty for the usual ones.
        limits: What one request may hold.
        pace: What the provider allows.
        price_per_million_tokens: None for the price known for the model.
        tokenizer: What requests are packed by, as `open_counter` takes it.
        fallbacks: Other addresses of the same model, in order, as `parse_routes` reads them.
        fallback_key: Sent to those; the key of the first address never is.
        fallback_after_s: Seconds for which an address may be out of reach before the next is asked.
        prices: Prices of single models, which go before the list prices known here.
        other: An embedder that is reached otherwise, as while one takes the place of another.
        provider: Whose address and key these are; empty when they are for whoever is asked.
    """

    base_url: str = ""
    key: SecretStr | None = None
    timeout_s: float = 60.0
    question_timeout_s: float = 5.0
    response_mib: int = 64
    proxy: str = field(default="", repr=False)
    ca_bundle: str = ""
    limits: RequestLimits = field(
        default_factory=lambda: RequestLimits(texts=128, tokens=16_000, in_flight=4)
    )
    pace: PaceOptions = field(default_factory=PaceOptions)
    price_per_million_tokens: float | None = None
    prices: tuple[tuple[str, float], ...] = ()
    tokenizer: str = ""
    fallbacks: tuple[str, ...] = ()
    fallback_key: SecretStr | None = None
    fallback_after_s: float = 60.0
    other: OtherEmbedder | None = None
    provider: str = ""

    def for_embedder(self, spec: str) -> "RemoteOptions":
        """Return how the embedder that `spec` names is reached.

        Nothing that is known of one provider alone is used for the other: neither address and key
        nor what it allows and costs.

        Raises:
            UsageError: It is another provider's, and nothing is known of how that is reached.
        """
        if self.other is None or not self.other.is_meant_by(spec):
            provider = spec.partition(":")[0]
            if self.provider not in ("", provider):
                raise UsageError(
                    f"how {spec} is reached is not known, and no provider gets the key of another; "
                    f"set embed_other to {provider}, and embed_other_key"
                )
            return self
        return RemoteOptions(
            base_url=self.other.base_url,
            key=self.other.key,
            timeout_s=self.timeout_s,
            question_timeout_s=self.question_timeout_s,
            proxy=self.proxy,
            ca_bundle=self.ca_bundle,
            prices=self.prices,
        )
