"""How the retriever answers in words."""

from dataclasses import dataclass, field

from pydantic import SecretStr


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions:
    """A language model over the network.

    Attributes:
        base_url: Address up to `/chat/completions`; empty when there is no model.
        key: Sent as a bearer token, or None.
        models: Names, the first is asked first.
        temperature: As the model takes it.
        top_p: As the model takes it.
        max_tokens: Of an answer.
        timeout_s: Seconds until the first piece of an answer.
        retries: Tries of one model beyond the first.
        backoff_s: Wait before the second try; doubles with each further one.
        cooldown_s: Seconds for which a model that failed is not asked.
        at_once: Answers at the same time.
        queue: Answers that may wait for their turn; more are refused.
    """

    base_url: str = ""
    key: SecretStr | None = None
    models: tuple[str, ...] = ()
    temperature: float = 0.7
    top_p: float = 0.9
    max_tokens: int = 2048
    timeout_s: float = 60.0
    retries: int = 2
    backoff_s: float = 0.5
    cooldown_s: float = 45.0
    at_once: int = 2
    queue: int = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptOptions:
    """How a model is told.

    Attributes:
        pack: Name of a prompt pack.
        context_tokens: Tokens of sources at most.
        history_tokens: Tokens of earlier messages at most.
    """

    pack: str = "strict"
    context_tokens: int = 6000
    history_tokens: int = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatOptions:
    """How questions in a chat are answered.

    Attributes:
        model: The language model; without one, answers are made of the best passages.
        prompt: What it is told.
        k: Hits behind an answer at least; grows to `most_k` while few are good.
        most_k: Hits at most.
        good_score: Cosine similarity from which a hit is good.
        events: Whether sources and status lines are sent as Open WebUI's events.
        sources_list: Whether a list of sources ends an answer, for clients that show no events.
        task_header: Header that names one of Open WebUI's own tasks, lower case.
    """

    model: ModelOptions = field(default_factory=ModelOptions)
    prompt: PromptOptions = field(default_factory=PromptOptions)
    k: int = 5
    most_k: int = 15
    good_score: float = 0.3
    events: bool = True
    sources_list: bool = False
    task_header: str = "x-rag-task"
