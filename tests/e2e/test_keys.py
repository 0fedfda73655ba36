"""Where keys come from, and that they are nowhere to be seen afterwards."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_line import CommandLine, Ended
from tests.support.embedding_server import Behaviour, EmbeddingServer
from tests.support.prefect_server import ask

BLOCK = "embedding-key"
IN_BLOCK = "kept-in-a-block-4f1d0c"
IN_ENVIRONMENT = "kept-in-the-environment-8ab277"
WRONG = "refused-by-the-provider-c03e95"
SAVE = "import sys; from prefect.blocks.system import Secret; Secret(value=sys.argv[1]).save('{}')"


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    with EmbeddingServer(Behaviour(key=IN_BLOCK)).running() as running:
        yield running


def run(nightpress: CommandLine, server: EmbeddingServer, *more: str, code: int = 0) -> Ended:
    told = ("--source", "notes", "--store", "store", "--embedder", "mistral:test@16")
    spoken = ("--set", f"embed_url={server.url}", "--set", "log_level=debug")
    # The installed script, since only there Prefect's server gets our log lines.
    return nightpress.as_script()("run", *told, *spoken, *more, code=code)


def test_a_key_comes_from_a_block_or_the_environment_and_is_seen_nowhere(
    nightpress: CommandLine, server: EmbeddingServer, prefect_folder: Path
):
    notes, api = nightpress.folder / "notes", nightpress.environment["PREFECT_API_URL"]
    notes.mkdir()
    (notes / "a.txt").write_text("The tide came in at six and went out at noon. " * 5)
    subprocess.run(
        [sys.executable, "-c", SAVE.format(BLOCK), IN_BLOCK],
        env={**nightpress.environment, "PREFECT_API_URL": api},
        check=True,
    )
    ended = [run(nightpress, server, "--set", f"embed_key_block={BLOCK}")]

    (notes / "b.txt").write_text("The moon was full and nobody slept that night. " * 5)
    server.behaviour.key = IN_ENVIRONMENT
    nightpress.environment["MISTRAL_API_KEY"] = IN_ENVIRONMENT
    ended.append(run(nightpress, server))
    assert len(server.seen.keys) == 2

    (notes / "c.txt").write_text("The harbour was empty but for one old boat. " * 5)
    ended.append(run(nightpress, server, "--set", f"embed_api_key={WRONG}", code=3))
    assert "refuses the key" in ended[-1].err

    runs = ask(api, "flow_runs", {"flow_runs": {"name": {"any_": ["reindex-docs"]}}})
    seen = "".join(each.out + each.err for each in ended) + str(runs)
    kept = [*stored(prefect_folder), *stored(nightpress.folder)]
    assert b"refuses the key" in b"".join(kept)  # what was looked through holds the logs
    for key in (IN_BLOCK, IN_ENVIRONMENT, WRONG):
        assert key not in seen
        assert not [data for data in kept if key.encode() in data]


def stored(folder: Path) -> list[bytes]:
    """Return every file of a folder: databases with their journals, stores, logs, settings."""
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
