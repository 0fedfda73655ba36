"""A collection with a year of good nights behind it, and what may happen to it in one night.

Each planted regression says which expectation has to stop it; harmless nights say nothing.
"""

import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from index_store.embedders.hashing import HashingEmbedder
from index_store.embeddings import EmbeddingStore
from index_store.ids import text_hash
from index_store.storage.base import Storage
from index_store.storage.memory import MemoryStorage
from tasks.stages.chunking.options import ChunkOptions
from tasks.stages.gating.options import GateOptions
from tasks.stages.parsing.limits import Limits
from tasks.stages.run_options import RunOptions
from tests.support.small_sources import DIMENSION, options_for, write

FOLDERS = ("finance", "legal", "people")
PER_FOLDER = 34
_FRENCH = (
    "Le salarié bénéficie chaque année de {n} jours de congés payés dans le service {topic}.",
    "Toute demande relative au dossier {topic} numéro {n} doit être adressée à la direction.",
    "Les conditions générales du contrat {topic} ont été modifiées pour la {n}e fois cette année.",
    "Nous vous prions de bien vouloir conserver ce document sur {topic} pendant {n} ans.",
)
_ENGLISH = (
    "Every employee of the {topic} department is entitled to {n} days of paid leave each year.",
    "All requests about the {topic} file number {n} have to be sent to the management in writing.",
    "The general terms of the {topic} contract were changed for the {n}th time this year.",
    "Please keep this document about {topic} safely for at least {n} years before you destroy it.",
)


def english(topic: str, number: int, sentences: int = 8) -> str:
    """A document in English that no other is like."""
    return _document(_ENGLISH, topic, number, sentences)


def french(topic: str, number: int, sentences: int = 8) -> str:
    """The same in French."""
    return _document(_FRENCH, topic, number, sentences)


def _document(patterns: Sequence[str], topic: str, number: int, sentences: int) -> str:
    dice = random.Random(f"{topic}{number}")
    return "\n\n".join(
        patterns[each % len(patterns)].format(topic=topic, n=dice.randrange(2, 99_999))
        + f" Reference {topic}-{number}-{each}."
        for each in range(sentences)
    )


@dataclass(frozen=True, slots=True)
class Place:
    """Where a night is planted."""

    source: Path
    storage: Storage
    folder: Path

    @property
    def documents(self) -> list[Path]:
        return sorted(self.source.rglob("*.txt"))


@dataclass(frozen=True, slots=True)
class Regression:
    """What goes wrong in a night, and which expectation has to notice."""

    name: str
    stopped_by: str
    plant: Callable[[Place, RunOptions], RunOptions | None]


def collection(source: Path) -> None:
    """Write 102 documents in three folders, and sidecars that restrict six of them."""
    for folder in FOLDERS:
        for number in range(PER_FOLDER):
            write(source / folder / f"{number:02}.txt", english(folder, number))
    for number in range(6):
        sidecar = source / "people" / f"{number:02}.json"
        sidecar.write_text('{"groups": ["hr"]}')


def copy_of(place: Place, folder: Path) -> Place:
    """Return a copy of source and store for one night alone."""
    shutil.copytree(place.source, folder / "source")
    storage = MemoryStorage("copy")
    for entry in place.storage.list(""):
        storage.put(entry.key, place.storage.read(entry.key))
    return Place(source=folder / "source", storage=storage, folder=folder)


def run_options(source: Path, golden: str = "") -> RunOptions:
    """Options under which these nights run: whole sentences in a chunk."""
    options = options_for(source)
    return replace(
        options,
        chunk=ChunkOptions(max_tokens=64, overlap_tokens=8, min_chars=10),
        gates=GateOptions(golden_path=golden),
        parse_workers=2,
    )


def golden_file(folder: Path) -> str:
    """Questions that the collection answers."""
    path = folder / "golden.csv"
    lines = ["question,documents"]
    for topic in FOLDERS:
        for number in (1, 5, 9):
            sentence = english(topic, number).split("\n\n")[0].replace(",", " ")
            lines.append(f"{sentence},{topic}/{number:02}.txt")
    path.write_text("\n".join(lines))
    return str(path)


def _rewrite(place: Place, text: Callable[[Path, int], str | bytes], share: float = 1.0) -> None:
    documents = place.documents
    for number, path in enumerate(documents[: round(share * len(documents))]):
        write(path, text(path, number))


def _vectors(place: Place, vectors_of: Callable[[list[str]], "np.ndarray"]) -> None:
    """Have wrong vectors stored for the texts of tonight before the run asks for them."""
    texts = []
    for number in range(30):
        path = place.source / "finance" / f"new-{number:02}.txt"
        text = english("invoices", number, sentences=1)
        write(path, text)
        texts.append(text)
    store = EmbeddingStore(place.storage, HashingEmbedder(DIMENSION).spec.id, DIMENSION)
    store.add([text_hash(text) for text in texts], vectors_of(texts).astype(np.float32))


def _unit(vectors: "np.ndarray") -> "np.ndarray":
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _half_empty(place: Place, options: RunOptions) -> None:
    _rewrite(place, lambda *_: b"", 0.5)


def _half_empty_and_forgotten(place: Place, options: RunOptions) -> RunOptions:
    _half_empty(place, options)
    return replace(options, change=replace(options.change, keep_last_good=False))


def _garbled(place: Place, options: RunOptions) -> None:
    """As from a font that does not say which letters its signs are."""
    _rewrite(place, lambda path, n: english(path.parent.name, n).replace("e", "\ue065"))


def _some_garbled(place: Place, options: RunOptions) -> None:
    """Too few for the share of poor documents in what was parsed, for most of it is good."""
    text = lambda path, n: english(path.parent.name, n + 1000)  # noqa: E731
    _rewrite(place, text, 0.8)
    _rewrite(place, lambda path, n: text(path, n).replace("e", "\ue065"), 0.2)


def _replacement_characters(place: Place, options: RunOptions) -> None:
    _rewrite(place, lambda path, n: english(path.parent.name, n).replace("e", "\ufffd"))


def _another_revision(place: Place, options: RunOptions) -> None:
    dice = np.random.default_rng(7)
    _vectors(place, lambda texts: _unit(dice.normal(size=(len(texts), DIMENSION))))


def _shuffled(place: Place, options: RunOptions) -> None:
    _vectors(place, lambda texts: np.roll(HashingEmbedder(DIMENSION).embed(texts), 7, axis=0))


def _constant(place: Place, options: RunOptions) -> None:
    _vectors(place, lambda texts: _unit(np.ones((len(texts), DIMENSION))))


def _department_missing(place: Place, options: RunOptions) -> None:
    shutil.rmtree(place.source / "legal")


def _flood(place: Place, options: RunOptions) -> None:
    for number in range(120):
        write(place.source / "inbox" / f"copy-{number}.txt", english("finance", 1))


def _wrong_language(place: Place, options: RunOptions) -> None:
    _rewrite(place, lambda path, n: french(path.parent.name, n))


def _truncated(place: Place, options: RunOptions) -> None:
    _rewrite(place, lambda path, n: path.read_text().split("\n\n")[0])


def _all_broken(place: Place, options: RunOptions) -> None:
    for number in range(30):
        write(place.source / "scans" / f"{number}.pdf", b"%PDF-1.4\nbroken off " + bytes([number]))


def _login_pages(place: Place, options: RunOptions) -> None:
    page = "Please sign in with your company account to see this page of the intranet. "
    _rewrite(place, lambda path, n: page * 6)


def _encoded(place: Place, options: RunOptions) -> None:
    dice = random.Random(3)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    _rewrite(
        place, lambda path, n: " ".join("".join(dice.choices(letters, k=76)) for _ in range(8))
    )


def _rules_and_borders(place: Place, options: RunOptions) -> None:
    _rewrite(
        place, lambda path, n: "\n\n".join(f"+----|----|----+ {n} | .... | " for _ in range(9))
    )


def _golden_lost(place: Place, options: RunOptions) -> None:
    for folder in FOLDERS:
        for number in (1, 5):
            write(place.source / folder / f"{number:02}.txt", english("catering", number))


def _import_flood(place: Place, options: RunOptions) -> None:
    for number in range(330):
        write(place.source / "archive" / f"{number}.txt", english("archive", number, sentences=2))


def _sidecars_vanished(place: Place, options: RunOptions) -> RunOptions:
    for path in place.source.rglob("*.json"):
        path.write_text('{"groups": null, "title": "open now"}')
        path.unlink()
    return replace(options, scan=replace(options.scan, sidecars=False))


def _tight_limits(place: Place, options: RunOptions) -> RunOptions:
    _rewrite(place, lambda path, n: english(path.parent.name, n + 1000))
    return replace(options, limits=Limits(file_bytes=100))


def _silent(place: Place, options: RunOptions) -> RunOptions:
    for number in range(40):
        write(place.source / "notes" / f"{number}.txt", f"note {number}")
    return options


def _blank(place: Place, options: RunOptions) -> None:
    for number in range(40):
        write(place.source / "blank" / f"{number}.txt", " \n" * (number + 1))


def _two_thirds_gone(place: Place, options: RunOptions) -> None:
    for path in place.documents:
        if int(path.stem) % 3:
            path.unlink()


REGRESSIONS = (
    Regression("half the corpus is empty", "outcomes/rejected", _half_empty),
    Regression(
        "half the corpus is empty and forgotten", "inventory/kept", _half_empty_and_forgotten
    ),
    Regression("a parser garbles", "chunks/garbled", _garbled),
    Regression("letters are replaced", "chunks/garbled", _replacement_characters),
    Regression("another revision of the embedder", "probe/agreement", _another_revision),
    Regression("vectors are shuffled", "probe/agreement", _shuffled),
    Regression("every vector is the same", "vectors/distinct", _constant),
    Regression("a fifth of the documents is garbled", "inventory/poor", _some_garbled),
    Regression("one department is missing", "folders/kept", _department_missing),
    Regression("a flood of duplicates", "repetitions/repeated", _flood),
    Regression("the wrong language", "changes/language", _wrong_language),
    Regression("texts are truncated", "changes/tokens", _truncated),
    Regression("everything new is broken", "outcomes/rejected", _all_broken),
    Regression("login pages instead of documents", "repetitions/repeated", _login_pages),
    Regression("encoded data instead of words", "chunks/words", _encoded),
    Regression("rules and borders instead of text", "chunks/letters", _rules_and_borders),
    Regression("answers of golden questions are gone", "golden/recall", _golden_lost),
    Regression("an archive floods the collection", "inventory/growth", _import_flood),
    Regression("restricted documents become open", "changes/rights", _sidecars_vanished),
    Regression("limits are too tight", "outcomes/rejected", _tight_limits),
    Regression("blank pages", "outcomes/rejected", _blank),
    Regression("notes too short for a chunk", "outcomes/rejected", _silent),
    Regression("two thirds are gone", "inventory/kept", _two_thirds_gone),
)
