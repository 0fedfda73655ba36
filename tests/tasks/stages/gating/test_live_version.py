"""The live version is asked with its own embedder, at its own address, with its own key."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from index_store.embedders.remote.options import OtherEmbedder, PaceOptions, RemoteOptions
from tasks.stages.gating.options import GateOptions
from tasks.stages.reporting import Finding, RunReport
from tasks.stages.run_options import EmbedOptions, RunOptions
from tests.support.embedding_server import Behaviour, EmbeddingServer
from tests.support.plain_run import run_plainly
from tests.support.small_sources import again, options_for, prose, trusted, write

OLD, NEW = "mistral:old@16", "openai:new@24"
PACE = PaceOptions(retries=0, give_up_s=0.1)


@pytest.fixture
def old() -> Iterator[EmbeddingServer]:
    with EmbeddingServer(Behaviour(key="key-of-the-old-one")).running() as running:
        yield running


@pytest.fixture
def new() -> Iterator[EmbeddingServer]:
    with EmbeddingServer(Behaviour(key="key-of-the-new-one", dimension=24)).running() as running:
        yield running


@pytest.fixture
def options(tmp_path: Path, old: EmbeddingServer) -> RunOptions:
    write(tmp_path / "source" / "tides.txt", prose("tides"))
    golden = tmp_path / "golden.csv"
    golden.write_text("question,documents\nWhat do the tides ask?,tides.txt\n")
    return replace(
        options_for(tmp_path / "source"),
        embed=EmbedOptions(spec=OLD, remote=reached(old, "key-of-the-old-one")),
        gates=GateOptions(golden_path=str(golden)),
    )


def reached(server: EmbeddingServer, key: str, other: OtherEmbedder | None = None) -> RemoteOptions:
    return RemoteOptions(base_url=server.url, key=SecretStr(key), pace=PACE, other=other)


def upgraded(options: RunOptions, remote: RemoteOptions) -> RunOptions:
    return replace(again(options), embed=EmbedOptions(spec=NEW, remote=remote))


def live_findings(report: RunReport) -> list[Finding]:
    return [finding for finding in report.findings if finding.check == "live version"]


def test_each_side_is_asked_at_its_own_address_with_its_own_key(
    options: RunOptions, old: EmbeddingServer, new: EmbeddingServer
):
    storage = trusted("both-sides")
    run_plainly(options, storage)
    before = len(old.seen.requests)
    other = OtherEmbedder(name="mistral", base_url=old.url, key=SecretStr("key-of-the-old-one"))
    report = run_plainly(upgraded(options, reached(new, "key-of-the-new-one", other)), storage)
    assert not live_findings(report)
    assert len(old.seen.requests) > before
    assert old.seen.keys == {"Bearer key-of-the-old-one"}
    assert new.seen.keys == {"Bearer key-of-the-new-one"}
    (recall,) = [each for each in report.findings if each.check == "golden/recall"]
    assert "in the live version" in recall.message


def test_a_key_is_not_sent_to_another_provider_and_the_run_says_what_is_missing(
    options: RunOptions, old: EmbeddingServer, new: EmbeddingServer
):
    storage = trusted("no-key")
    run_plainly(options, storage)
    before = len(old.seen.requests)
    report = run_plainly(upgraded(options, reached(new, "key-of-the-new-one")), storage)
    (told,) = live_findings(report)
    assert not told.passed
    assert not told.blocks
    assert "set embed_other to mistral" in told.message
    assert len(old.seen.requests) == before
    assert new.seen.keys == {"Bearer key-of-the-new-one"}
    assert report.promoted


def test_a_live_version_whose_embedder_refuses_its_key_costs_no_run(
    options: RunOptions, old: EmbeddingServer, new: EmbeddingServer
):
    storage = trusted("gone")
    run_plainly(options, storage)
    other = OtherEmbedder(name="mistral", base_url=old.url, key=SecretStr("revoked"))
    report = run_plainly(upgraded(options, reached(new, "key-of-the-new-one", other)), storage)
    (told,) = live_findings(report)
    assert "cannot be asked" in told.message
    assert "revoked" not in told.message
    assert report.promoted
