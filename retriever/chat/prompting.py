"""What a language model is told: a prompt pack, sources within their budget, the question; pure.

Sources are set apart and escaped: what stands in a document can neither close its frame nor open
another. That makes instructions hidden in documents visible as quotations; it does not promise that
no model ever follows one.
"""

import html
import re
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files

from index_store.errors import UsageError
from retriever.chat.conversation import Asked, Turn
from retriever.chat.language import Language
from retriever.chat.options import PromptOptions
from retriever.chat.sources import Source, place_of, visible

_FOLDER = files("retriever.chat.prompts")
CHARS_PER_TOKEN = 4  # a cautious mean over French and English
_CITED = re.compile(r"\[(\d+(?:\s*,\s*\d+)*)\]")
_CLAIMED = re.compile(r"\b(?:article|art\.|page|p\.)\s*(\d+(?:[.-]\d+)*)", re.IGNORECASE)


def packs() -> tuple[str, ...]:
    """Return the names of the prompt packs, sorted."""
    names = {each.name.rsplit("-", 1)[0] for each in _FOLDER.iterdir() if each.name[-3:] == ".md"}
    return tuple(sorted(names))


def check_pack(name: str) -> str:
    """Return a pack's name.

    Raises:
        UsageError: There is no such pack.
    """
    if name not in packs():
        raise UsageError(f"prompt_pack {name!r} is unknown; there are: {', '.join(packs())}")
    return name


def prompt(
    asked: Asked, sources: Sequence[Source], language: Language, options: PromptOptions
) -> list[dict[str, str]]:
    """Return the messages for a model: the pack, the history, the sources with the question."""
    history = _window(asked.history, options.history_tokens)
    frames = _frames(sources, options.context_tokens)
    extra = f"\n{visible(asked.extra_context)}" if asked.extra_context else ""
    label = "Question :" if language is Language.FRENCH else "Question:"
    body = f"<sources>\n{frames}\n</sources>{extra}\n\n{label} {asked.question}"
    return [
        {"role": "system", "content": _pack(options.pack, language)},
        *({"role": turn.role, "content": turn.text} for turn in history),
        {"role": "user", "content": body},
    ]


def unsupported(answer: str, sources: Sequence[Source]) -> list[str]:
    """Return what an answer cites and the sources do not have: numbers, articles, pages.

    Args:
        answer: The whole answer.
        sources: What was sent with the question.
    """
    known = {source.number for source in sources}
    cited = {int(n) for group in _CITED.findall(answer) for n in group.split(",")}
    wrong = [f"[{number}]" for number in sorted(cited - known)]
    text = " ".join(f"{hit.text} {place_of(hit)}" for source in sources for hit in source.hits)
    there = set(re.findall(r"\d+(?:[.-]\d+)*", text))
    claims = dict.fromkeys(found[0] for found in _CLAIMED.finditer(answer) if found[1] not in there)
    return wrong + list(claims)


def _frames(sources: Sequence[Source], tokens: int) -> str:
    """Return the sources as frames, best first, as many as the budget takes."""
    left = tokens * CHARS_PER_TOKEN
    frames: list[str] = []
    for source in sources:
        for hit in source.hits:
            text = html.escape(visible(hit.context or hit.text), quote=False)
            name = html.escape(visible(source.name))
            place = html.escape(visible(place_of(hit)))
            frame = (
                f'<source id="{source.number}" name="{name}" place="{place}">\n{text}\n</source>'
            )
            if len(frame) > left and frames:
                return "\n".join(frames)
            frames.append(frame[: max(left, 0)] if len(frame) > left else frame)
            left -= len(frame)
    return "\n".join(frames)


def _window(history: Sequence[Turn], tokens: int) -> list[Turn]:
    left = tokens * CHARS_PER_TOKEN
    kept: list[Turn] = []
    for turn in reversed(history):
        left -= len(turn.text)
        if left < 0:
            break
        kept.append(turn)
    return kept[::-1]


@lru_cache(maxsize=64)
def _pack(name: str, language: Language) -> str:
    path = _FOLDER / f"{name}-{language.value}.md"
    return path.read_text(encoding="utf-8").strip()
