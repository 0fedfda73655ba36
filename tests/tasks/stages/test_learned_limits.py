"""What refusals taught one run, the next one knows."""

from collections.abc import Sequence

import pytest
from pydantic import SecretStr

from index_store.embedder import RequestLimits, text_tokens
from index_store.embedders.hashing import PieceTokenizer
from index_store.embedders.remote.options import PaceOptions, RemoteOptions
from index_store.layout import learned_limits_key
from index_store.storage.memory import MemoryStorage
from tasks.stages.learned_limits import REMEMBERED_MS, read_limits, write_limits
from tasks.stages.listing import ScanOptions
from tasks.stages.run_options import EmbedOptions, RunOptions
from tasks.stages.workshop import Workshop
from tests.support.embedding_desk import Desk, words
from tests.support.embedding_server import KEY, Behaviour, EmbeddingServer

EMBEDDER = "e" * 64


def embed_in_a_run(desk: Desk, url: str, texts: Sequence[str]) -> None:
    remote = RemoteOptions(
        base_url=url,
        key=SecretStr(KEY),
        limits=RequestLimits(texts=32, tokens=300, in_flight=1),
        pace=PaceOptions(backoff_s=0.001),
    )
    options = RunOptions(
        run="run-1",
        store="memory://unused",
        collection="docs",
        sources=(),
        scan=ScanOptions(extensions=frozenset()),
        embed=EmbedOptions(spec="mistral:test@16", remote=remote),
    )
    shop = Workshop(options, storage=desk.storage)
    shop.embed(desk.batch([texts]))
    shop.close()


@pytest.mark.parametrize("limit", [{"max_texts": 5}, {"max_tokens": 50, "old_messages": True}])
def test_the_second_run_is_refused_nothing(limit: dict[str, int]):
    behaviour = Behaviour(**limit)  # type: ignore[arg-type]
    with EmbeddingServer(behaviour).running() as server:
        desk = Desk(server.url, 16, count=lambda text: text_tokens(PieceTokenizer(), text))
        embed_in_a_run(desk, server.url, [words(number) for number in range(100)])
        first = refused(server)
        server.seen.requests.clear()
        embed_in_a_run(desk, server.url, [words(1000 + number) for number in range(100)])
        assert first > 0
        assert refused(server) == 0
        desk.embedder.close()


def refused(server: EmbeddingServer) -> int:
    """Return the requests that were larger than the provider takes."""
    kept = server.behaviour
    return sum(
        len(texts) > kept.max_texts or sum(map(server.tokens, texts)) > kept.max_tokens
        for texts in server.seen.requests
    )


def test_it_is_forgotten_after_some_weeks_or_when_it_is_damaged():
    storage, learned = MemoryStorage("limits"), RequestLimits(texts=16, tokens=8_000)
    assert read_limits(storage, EMBEDDER, 0) is None
    write_limits(storage, EMBEDDER, learned, 1_000)
    assert read_limits(storage, EMBEDDER, 1_000 + REMEMBERED_MS) == learned
    assert read_limits(storage, EMBEDDER, 1_001 + REMEMBERED_MS) is None
    assert read_limits(storage, EMBEDDER, 0) is None  # of a clock that was set back
    for nonsense in (b"nonsense", b"[]", b'{"format_version": 2, "texts": 1, "tokens": 1}'):
        storage.put(learned_limits_key(EMBEDDER), nonsense)
        assert read_limits(storage, EMBEDDER, 1_000) is None
