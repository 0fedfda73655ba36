"""How the retriever answers in words."""

from dataclasses import dataclass, field

from retriever.chat.backend import ModelOptions
from retriever.chat.prompting import PromptOptions


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
