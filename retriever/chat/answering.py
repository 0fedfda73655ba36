"""From a question and its hits to an answer that comes piece by piece.

Invariants: sources come before the first word; nothing found is said without asking a model; what
an answer cites and was never sent is flagged at its end.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from retriever.chat.conversation import Asked
from retriever.chat.extractive import PHRASES, extract
from retriever.chat.language import language_of
from retriever.chat.options import PromptOptions
from retriever.chat.prompting import prompt, unsupported
from retriever.chat.sources import Source, sources_markdown

if TYPE_CHECKING:
    from retriever.chat.backend import ChatBackend  # loads a client of HTTP


class PartKind(Enum):
    """What a part of an answer is."""

    SOURCES = "sources"
    THINKING = "thinking"
    TEXT = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of an answer.

    Attributes:
        kind: What it is.
        text: The words, for THINKING and TEXT.
        sources: The sources, for SOURCES.
    """

    kind: PartKind
    text: str = ""
    sources: tuple[Source, ...] = ()


async def answer(
    asked: Asked,
    sources: tuple[Source, ...],
    backend: "ChatBackend | None",
    options: PromptOptions,
    *,
    limits: Mapping[str, float | int | None],
    with_list: bool,
) -> AsyncGenerator[Part]:
    """Yield the parts of an answer.

    Args:
        asked: The question with its history.
        sources: What was found.
        backend: The language model; None answers with the best passages.
        options: What a model is told.
        limits: What the person asked of the model.
        with_list: Whether a list of sources ends the answer.

    Raises:
        TransientError: No model answers.
    """
    language = language_of(asked.question)
    phrases = PHRASES[language]
    yield Part(kind=PartKind.SOURCES, sources=sources)
    if not sources and not asked.extra_context:
        yield Part(kind=PartKind.TEXT, text=phrases.nothing)
        return
    said = ""
    if backend is None:
        said = extract(asked.question, sources, language)
        yield Part(kind=PartKind.TEXT, text=said)
    else:
        messages = prompt(asked, sources, language, options)
        async with aclosing(backend.stream(messages, limits)) as pieces:
            async for piece in pieces:
                if piece.reasoning:
                    yield Part(kind=PartKind.THINKING, text=piece.reasoning)
                if piece.text:
                    said += piece.text
                    yield Part(kind=PartKind.TEXT, text=piece.text)
        wrong = unsupported(said, sources)
        if wrong:
            flagged = f"\n\n_{phrases.unsupported} {', '.join(wrong)}_"
            yield Part(kind=PartKind.TEXT, text=flagged)
    if with_list and sources:
        listed = sources_markdown(sources, phrases.sources)
        yield Part(kind=PartKind.TEXT, text=f"\n\n{listed}")
