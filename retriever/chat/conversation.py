"""What a chat request asks: a question with its history, or one of Open WebUI's own tasks; pure.

Open WebUI sends its background tasks (titles, tags, follow-ups, search queries ...) as ordinary
chat requests, and wraps a question with the context of its own knowledge, both beginning with
`### Task:`. A task has no stream and holds the history it is about; a wrapped question holds a
context. A header with the task's name, where one is set up, decides at once.

Invariant: a person's question is never taken for a task, and never searched with its wrapping.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from pydantic import BaseModel, ConfigDict, Field

_TASK = "### Task:"
_MARKS = ("<chat_history>", "### Chat History:", "<text>", "<type>")
_CONTEXT = re.compile(r"<context>.*</context>", re.DOTALL)
_WHOLE_HISTORY = re.compile(r"<chat_history>.*</chat_history>", re.DOTALL)
_HISTORY = re.compile(r"<chat_history>(.*?)</chat_history>", re.DOTALL)
_QUERY_BLOCK = re.compile(r"<user_query>(.*?)</user_query>", re.DOTALL)
_USER_LINE = re.compile(r"^\s*(?:USER|User|user)\s*:\s*(.+)$", re.MULTILINE)
# Words with which a question leans on the one before it, in French and English.
_LEANS = re.compile(
    r"^(et|and|ou|or|mais|but|also|aussi|puis|alors|what about|how about|qu'en est)\b|"
    r"\b(it|its|they|them|that one|this one|those|these|the (first|second|third|last) one|"
    r"celui|celle|ceux|celles|le (premier|second|deuxième|dernier)|la (première|seconde|dernière)|"
    r"ça|cela|il|elle|ils|elles|lui|leur)\b",
    re.IGNORECASE,
)
SHORT_WORDS = 8  # a question with fewer words may lean on the one before it


class TaskKind(Enum):
    """What Open WebUI wants to know of a chat."""

    TITLE = "title_generation"
    TAGS = "tags_generation"
    FOLLOW_UPS = "follow_up_generation"
    QUERIES = "query_generation"
    IMAGE_PROMPT = "image_prompt_generation"
    AUTOCOMPLETE = "autocomplete_generation"
    EMOJI = "emoji_generation"
    OTHER = "other"


class Message(BaseModel):
    """One message; content is a text or a list of parts."""

    model_config = ConfigDict(extra="ignore")

    role: str
    content: str | list[dict[str, object]] | None = None

    @property
    def text(self) -> str:
        """The text of the content; pictures and other parts are left out."""
        if self.content is None or isinstance(self.content, str):
            return self.content or ""
        parts = [part.get("text") for part in self.content if part.get("type") == "text"]
        return "\n".join(part for part in parts if isinstance(part, str))


class StreamOptions(BaseModel):
    """What a stream shall hold besides the answer."""

    model_config = ConfigDict(extra="ignore")

    include_usage: bool = False


class ChatRequest(BaseModel):
    """Body of `POST /v1/chat/completions`; what is not known here is accepted and ignored."""

    model_config = ConfigDict(extra="ignore")

    model: str = Field(description="Name of a collection")
    messages: list[Message] = Field(min_length=1)
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = Field(default=None, description="`max_tokens` by now")


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A message of the history, as the model is told."""

    role: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A person's question.

    Attributes:
        question: In the person's words, unwrapped.
        search_text: What is searched for: the question, with the one before it when it leans on it.
        history: Earlier messages of the person and the assistant, oldest first.
        extra_context: Context that Open WebUI added of its own, empty when none.
    """

    question: str
    search_text: str
    history: tuple[Turn, ...] = ()
    extra_context: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One of Open WebUI's own tasks.

    Attributes:
        kind: Which.
        prompt: The prompt as it came.
        subject: The person's last question in the history that the prompt holds.
        first: The person's first question in it.
    """

    kind: TaskKind
    prompt: str
    subject: str
    first: str


def read_chat(request: ChatRequest, task_header: str = "") -> Asked | Task | None:
    """Tell what a request asks; None when there is no message of a person.

    Args:
        request: The request.
        task_header: Name of a task from a header that the operator set up, empty when none.
    """
    turns = [Turn(role=message.role, text=message.text) for message in request.messages]
    persons = [turn.text for turn in turns if turn.role == "user" and turn.text.strip()]
    if not persons:
        return None
    last = persons[-1]
    if task_header or _is_task(last, stream=bool(request.stream)):
        return _task(task_header, last)
    question, extra = _unwrapped(last)
    if not extra:
        context = next((t.text for t in turns if t.role == "system" and "<context>" in t.text), "")
        found = _CONTEXT.search(context)
        extra = found[0] if found else ""
    history = tuple(turn for turn in turns[:-1] if turn.role in ("user", "assistant"))
    return Asked(
        question=question,
        search_text=search_text(question, history),
        history=history,
        extra_context=extra,
    )


def search_text(question: str, history: Sequence[Turn]) -> str:
    """Return what to search for: a short question that leans on the one before it is joined to it.

    "et pour le second ?" says nothing alone; beside the question before, it does.
    """
    before = next((turn.text for turn in reversed(history) if turn.role == "user"), "")
    leans = len(question.split()) <= SHORT_WORDS and _LEANS.search(question.strip()) is not None
    if not leans or not before.strip():
        return question
    earlier, _ = _unwrapped(before)
    return f"{earlier.strip()}\n{question}"


def _is_task(text: str, *, stream: bool) -> bool:
    return (
        not stream
        and text.lstrip().startswith(_TASK)
        and any(mark in text for mark in _MARKS)
        # A chat that a task is about may hold a context; a wrapped question stands beside one.
        and _CONTEXT.search(_WHOLE_HISTORY.sub("", text)) is None
    )


def _task(name: str, prompt: str) -> Task:
    kinds = {kind.value: kind for kind in TaskKind}
    kind = kinds.get(name) or _kind_by_prompt(prompt)
    history = _HISTORY.search(prompt)
    asked = _USER_LINE.findall(history[1] if history else prompt)
    subject = asked[-1].strip() if asked else ""
    return Task(
        kind=kind, prompt=prompt, subject=subject, first=asked[0].strip() if asked else subject
    )


def _kind_by_prompt(prompt: str) -> TaskKind:
    for key, kind in (
        ('"title"', TaskKind.TITLE),
        ('"tags"', TaskKind.TAGS),
        ('"follow_ups"', TaskKind.FOLLOW_UPS),
        ('"queries"', TaskKind.QUERIES),
        ('"prompt"', TaskKind.IMAGE_PROMPT),
        ('"text"', TaskKind.AUTOCOMPLETE),
        ("emoji", TaskKind.EMOJI),
    ):
        if key in prompt:
            return kind
    return TaskKind.OTHER


def _unwrapped(text: str) -> tuple[str, str]:
    """Return the question and Open WebUI's own context of a wrapped message."""
    found = _CONTEXT.search(text)
    if found is None or not text.lstrip().startswith(_TASK):
        return text.strip(), ""
    named = _QUERY_BLOCK.search(text)
    rest = named[1] if named else text[found.end() :]
    return rest.strip() or text.strip(), found[0]
