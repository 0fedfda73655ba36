"""Answers made of the best passages alone, when no language model is set up; pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from retriever.chat.language import Language
from retriever.chat.sources import Source, escape_markdown, place_of

PASSAGES = 3
PASSAGE_CHARS = 420
_SENTENCE = re.compile(r"(?<=[.!?…])\s+")
_WORD = re.compile(r"\w{3,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrases:
    """What the service says of itself in one language."""

    nothing: str
    intro: str
    searching: str
    found: str
    sources: str
    unsupported: str


PHRASES = {
    Language.FRENCH: Phrases(
        nothing="Je ne trouve rien à ce sujet dans les documents.",
        intro="Voici ce que disent les documents :",
        searching="Recherche dans les documents",
        found="Sources trouvées :",
        sources="Sources",
        unsupported="À vérifier : ces références ne figurent pas dans les sources transmises :",
    ),
    Language.ENGLISH: Phrases(
        nothing="I find nothing about this in the documents.",
        intro="This is what the documents say:",
        searching="Searching the documents",
        found="Sources found:",
        sources="Sources",
        unsupported="To be checked: these references are not in the sources that were sent:",
    ),
}


def extract(question: str, sources: Sequence[Source], language: Language) -> str:
    """Return the passages nearest to a question, quoted, each with its source's number."""
    if not sources:
        return PHRASES[language].nothing
    wanted = {word.lower() for word in _WORD.findall(question)}
    ranked = [(source, hit) for source in sources for hit in source.hits]
    ranked.sort(key=lambda item: (not item[1].verbatim, -item[1].score))
    parts = [PHRASES[language].intro]
    for source, hit in ranked[:PASSAGES]:
        place = place_of(hit)
        where = f" ({escape_markdown(place)})" if place else ""
        parts.append(f"> {escape_markdown(_passage(hit.text, wanted))} [{source.number}]{where}")
    return "\n\n".join(parts)


def _passage(text: str, wanted: set[str]) -> str:
    """Return the neighbouring sentences that share most words with the question."""
    sentences = [part for part in _SENTENCE.split(" ".join(text.split())) if part]
    best, best_score = 0, -1
    for start in range(len(sentences)):
        window = " ".join(sentences[start : start + 2]).lower()
        score = len(wanted & set(_WORD.findall(window)))
        if score > best_score:
            best, best_score = start, score
    passage = sentences[best]
    for sentence in sentences[best + 1 :]:
        if len(passage) + len(sentence) > PASSAGE_CHARS:
            break
        passage += f" {sentence}"
    return passage if len(passage) <= PASSAGE_CHARS else passage[:PASSAGE_CHARS].rstrip() + "…"
