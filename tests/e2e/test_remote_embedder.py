"""A run whose vectors come from a provider over the network, through the console script."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from mistralai.client import Mistral

from tests.support.command_line import CommandLine
from tests.support.embedding_server import KEY, Behaviour, EmbeddingServer
from tests.support.prefect_server import ask


@pytest.fixture
def server() -> Iterator[EmbeddingServer]:
    with EmbeddingServer(Behaviour(plan=["429-seconds", "500"])).running() as running:
        yield running


PROBED = 23  # words of the texts that tell one model from another


def write_notes(source: Path, count: int = 6) -> None:
    source.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        text = f"Note {number}. " + f"The tide of day {number} came in at hour {number * 3}. " * 5
        (source / f"{number}.txt").write_text(text)


def told(server: EmbeddingServer, *more: str) -> list[str]:
    return [
        *("--source", "notes", "--store", "store", "--embedder", "mistral:test@16"),
        *("--set", f"embed_url={server.url}", "--set", f"embed_api_key={KEY}", *more),
    ]


def test_a_second_build_a_renamed_source_and_another_graph_ask_nothing(
    nightpress: CommandLine, server: EmbeddingServer
):
    write_notes(nightpress.folder / "notes")
    first = nightpress("run", "--json", *told(server, "--set", "embed_price=100"))
    run = first.json
    assert run["documents"]["added"] == 6
    cost, counted = run["cost"], sum(server.tokens(text) for text in server.seen.paid) - PROBED
    assert (cost["billed_tokens"], cost["told_tokens"]) == (counted, counted)
    assert cost["spent"] == pytest.approx(counted / 10_000)
    assert cost["price_from"] == "the setting embed_price"
    asked = len(server.seen.requests)
    nightpress("run", "--json", "--full", *told(server))
    nightpress("run", "--json", "--full", *told(server, "--set", "hnsw_m=16"))
    (nightpress.folder / "notes").rename(nightpress.folder / "renamed")
    moved = ["renamed" if word == "notes" else word for word in told(server)]
    nightpress("run", "--json", *moved)
    assert len(server.seen.requests) == asked
    stored = b"".join(
        path.read_bytes() for path in (nightpress.folder / "store").rglob("*") if path.is_file()
    )
    assert KEY.encode() not in stored
    assert KEY not in first.err


def test_the_night_rate_costs_half_and_is_planned_and_reported_so(nightpress: CommandLine):
    write_notes(nightpress.folder / "notes")
    with EmbeddingServer(Behaviour()).running() as server:
        night = ("--set", "embed_night_rate=true", "--set", "embed_night_texts=1")
        options = told(server, "--set", "embed_price=100", *night)
        planned = nightpress("plan", "--json", *options).json["estimate"]
        usual = nightpress("plan", "--json", *told(server, "--set", "embed_price=100")).json
        run = nightpress("run", "--json", *options, "--set", "embed_night_poll_s=0.05").json
    assert planned["at_night_rate"]
    assert planned["cost"] == pytest.approx(usual["estimate"]["cost"] / 2)
    assert len(server.batches.jobs) == 1
    assert run["embedding"]["texts"] == 6
    assert run["cost"]["night_tokens"] == run["cost"]["billed_tokens"] > 0
    assert run["cost"]["spent"] == pytest.approx(run["cost"]["billed_tokens"] / 20_000)


def test_a_budget_stops_a_run_before_it_is_passed(nightpress: CommandLine, server: EmbeddingServer):
    write_notes(nightpress.folder / "notes")
    options = told(server, "--set", "embed_price=1000000", "--budget", "1")
    ended = nightpress("run", *options, code=3)
    assert "the budget of 1 would be passed" in ended.err
    assert not [texts for texts in server.seen.requests if any("Note" in text for text in texts)]


def test_an_unknown_price_is_said_in_the_plan_and_in_the_report_and_cannot_be_budgeted(
    nightpress: CommandLine, server: EmbeddingServer
):
    write_notes(nightpress.folder / "notes" / "law", 2)
    write_notes(nightpress.folder / "notes" / "wages", 4)  # the first two are those of law
    planned = nightpress("plan", "--json", *told(server)).json["estimate"]
    assert planned["cost"] is planned["price_per_million_tokens"] is None
    assert "not known for test" in planned["price_from"]
    assert "a cost of unknown" in nightpress("plan", *told(server)).out
    refused = nightpress("run", *told(server, "--budget", "1"), code=2)
    assert "a budget cannot be held to: the price is not known for test; set" in refused.err
    shown = nightpress("run", *told(server)).out
    assert "cost: unknown for " in shown
    assert " 0 estimated" in shown
    assert "The price is not known for test" in shown
    rows = [line.split() for line in shown.splitlines()]
    assert [row[0] for row in rows if row[-1:] == ["unknown"]] == ["law", "wages"]


def test_a_wrong_key_stops_a_run_with_the_remedy(nightpress: CommandLine):
    write_notes(nightpress.folder / "notes")
    with EmbeddingServer(Behaviour(key="another")).running() as server:
        ended = nightpress("run", *told(server), code=3)
    assert "refuses the key" in ended.err
    assert "embed_key_file" in ended.err
    assert KEY not in ended.err


@pytest.mark.soak  # a provider that is away is given some twenty seconds to come back
def test_a_run_goes_to_another_address_of_the_model_when_the_first_is_down(
    nightpress: CommandLine,
):
    write_notes(nightpress.folder / "notes", 2)
    with EmbeddingServer(Behaviour(key=None)).running() as second:
        other = (
            "--set",
            f"embed_fallback=openai={second.url}",
            "--set",
            "embed_fallback_after_s=1",
        )
        with EmbeddingServer(Behaviour()).running() as first:
            options = told(first, *other)
            nightpress("run", *options)
        before = len(second.seen.requests)
        write_notes(nightpress.folder / "notes", 3)
        ended = nightpress.as_script()("run", "--json", *options)
    assert before == 1  # the comparison
    assert ended.json["embedding"]["texts"] == 1
    assert "mistral test is out of reach, others are asked" in ended.err
    assert f"embed_fallback {second.url} answers, texts are embedded there" in ended.err
    assert second.seen.keys == {""}
    lines = ask(nightpress.environment["PREFECT_API_URL"], "logs", {})
    assert [line for line in lines if "is out of reach, others" in str(line["message"])]


def test_mistrals_own_client_understands_the_provider_of_these_tests():
    with EmbeddingServer(Behaviour()).running() as server:
        client = Mistral(api_key=KEY, server_url=server.ollama_url)
        answer = client.embeddings.create(model="mistral-embed", inputs=["one", "two"])
        assert [item.index for item in answer.data] == [0, 1]
        assert answer.data[1].embedding == pytest.approx(server.true_vector("two").tolist())
