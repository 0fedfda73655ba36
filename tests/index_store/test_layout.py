"""Keys: every one lies where FORMAT.md says, and every kind of key is described there."""

import re
from pathlib import Path

import pytest

from index_store import layout
from index_store.embedders.remote.options import PACE_FOLDER
from index_store.storage.fitness import CHECK_FOLDER
from index_store.storage.verdicts import VERDICT_FOLDER

HEX = "a" * 64
KEYS = {
    "<collection>/format.json": layout.format_key("docs"),
    "<collection>/log/<12 digits>.json": layout.log_key("docs", 42),
    "<collection>/log/checkpoint-<12 digits>.json": layout.checkpoint_key("docs", 42),
    "<collection>/log/tail-<12 digits>.json": layout.tail_key("docs", 42),
    "<collection>/versions/<version>/manifest.json": layout.manifest_key("docs", HEX),
    "<collection>/versions/<version>/report.json": layout.report_key("docs", HEX),
    "<collection>/shards/<shard>/index.faiss": layout.shard_index_key("docs", HEX),
    "<collection>/shards/<shard>/chunks.arrow": layout.shard_chunks_key("docs", HEX),
    "<collection>/shards/<shard>/documents.arrow": layout.shard_documents_key("docs", HEX),
    "<collection>/shards/<shard>/lexical.<suffix>": layout.shard_lexical_key("docs", HEX, "idx"),
    "<collection>/shards/<shard>/shard.json": layout.shard_record_key("docs", HEX),
    "<collection>/deletions/<sha256>.roaring": layout.deletions_key("docs", HEX),
    "<collection>/catalog/<sha256>.parquet": layout.catalog_key("docs", HEX),
    "<collection>/relocations/<sha256>.arrow": layout.relocations_key("docs", HEX),
    "<collection>/runs/<run>/…": layout.run_key("docs", "run-1", "batches/1.json"),
    "<collection>/versions/<version>/report.html": layout.page_key("docs", HEX),
    "<collection>/versions/<version>/figures.html": layout.figures_page_key("docs", HEX),
    "<collection>/versions/<version>/evaluation-<run>.json": layout.evaluation_key(
        "docs", HEX, "run-1"
    ),
    "<collection>/history/<run>.json": layout.history_key("docs", "run-1"),
    "embeddings/<embedder>/<sha256>.arrow": layout.embeddings_key("e" * 64, HEX),
    "embeddings/<embedder>/jobs/<name>.json": layout.batch_job_key("e" * 64, "job-1"),
    "embeddings/<embedder>/limits.json": layout.learned_limits_key("e" * 64),
    "embeddings/<embedder>/probe.json": layout.probe_key("e" * 64),
}
# What a trial of the store writes lies beside the collections; their names begin with no dot.
BESIDE = {VERDICT_FOLDER, PACE_FOLDER, CHECK_FOLDER}


@pytest.mark.parametrize("described", KEYS)
def test_a_key_lies_where_the_description_says(described: str):
    pattern = re.escape(described).replace("…", ".+")
    pattern = pattern.replace(r"<12\ digits>", r"\d{12}").replace("<collection>", "docs")
    assert re.fullmatch(re.sub(r"<\w+>", r"[^/]+", pattern), KEYS[described])


def test_every_kind_of_key_is_described():
    text = Path(layout.__file__).with_name("FORMAT.md").read_text("utf-8")
    mapped = re.search(r"## Map\n```\n(.*?)```", text, re.DOTALL)
    assert mapped is not None
    lines = [re.split(r"  +", line)[0] for line in mapped[1].splitlines()]
    beside = {line for line in lines if line.startswith(".")}
    assert sorted(set(lines) - beside) == sorted(KEYS)
    assert len(beside) == len(BESIDE)
    assert all(any(line.startswith(folder) for line in beside) for folder in BESIDE)
    makers = {name for name in vars(layout) if name.endswith("_key")}
    assert len(makers) == len(KEYS)
