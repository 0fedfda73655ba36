"""What answers the questions of an evaluation: a version, opened, and the models that are set."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from flows.links import link_options
from flows.run_settings import available_cores, cache_options, remote_options
from flows.serving import chat_options
from flows.settings import Settings
from index_store.cache import LocalCache
from index_store.embedders.registry import open_embedder, spec_string
from index_store.errors import UsageError
from index_store.snapshot import Snapshot, SnapshotOptions
from index_store.storage.opening import open_storage
from retriever.chat.options import ModelOptions
from retriever.desk import Desk, ask_model
from tasks.stages.evaluation.judging import Judge
from tasks.stages.gating.golden import GoldenQuestion


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedDesk:
    """A version that answers.

    Attributes:
        desk: Answers from it.
        version: Its whole id.
        answered_by: What writes the answers.
        judge: Marks answers, None when no judge is set.
    """

    desk: Desk
    version: str
    answered_by: str
    judge: Judge | None

    def answer(self, question: GoldenQuestion) -> tuple[str, tuple[str, ...]]:
        """Return the answer to a question and the documents that it rests on."""
        answered = self.desk.answer(question.question, question.groups)
        return answered.text, answered.sources


@contextmanager
def opened_desk(settings: Settings, version: str | None) -> Iterator[OpenedDesk]:
    """Open what answers; it is closed when the block ends.

    Args:
        settings: What the person set.
        version: The version, or the beginning of its id; None for production.

    Raises:
        UsageError: A setting names no model, or the version's embedder cannot be opened.
    """
    judge, chat = judge_of(settings), chat_options(settings)
    options = SnapshotOptions(
        exact_rows=settings.exact_rows,
        threads=available_cores(),
        cache=LocalCache(cache_options(settings)),
    )
    storage = open_storage(settings.store)
    with Snapshot.open(storage, settings.collection, version=version, options=options) as snapshot:
        embedder = open_embedder(
            spec_string(snapshot.manifest.embedder), threads=1, remote=remote_options(settings)
        )
        try:
            yield OpenedDesk(
                desk=Desk(
                    snapshot=snapshot, embedder=embedder, chat=chat, links=link_options(settings)
                ),
                version=snapshot.version,
                answered_by=", ".join(settings.chat_models) or "the best passages",
                judge=judge,
            )
        finally:
            embedder.close()


def judge_of(settings: Settings) -> Judge | None:
    """Return what asks the judge, None when none is set.

    Raises:
        UsageError: An address is set, and no model.
    """
    if not settings.judge_url:
        return None
    if not settings.judge_model:
        raise UsageError("judge_url is set, but judge_model names no model")
    options = ModelOptions(
        base_url=settings.judge_url,
        key=settings.judge_api_key,
        models=(settings.judge_model,),
        temperature=0.0,
    )

    def ask(messages: Sequence[Mapping[str, str]]) -> str:
        return ask_model(options, messages)

    return ask
