"""Every setting reaches what it is for."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from flows.links import link_options
from flows.run_settings import available_cores, new_run_id, remote_options, run_options
from flows.search_filters import AskedHits, shown_hits
from flows.secret_blocks import with_key
from flows.serving import rerank_options
from flows.settings import Settings, load_settings
from index_store.embedders.registry import open_embedder
from index_store.embedders.remote.options import OtherEmbedder
from index_store.errors import UsageError
from index_store.search_options import AdaptiveK
from retriever.links import LinkOptions
from retriever.reranking import RerankOptions, RerankShape
from tasks.stages.gating.expectation import Severity
from tasks.stages.gating.options import EngineName
from tasks.stages.listing import Source
from tasks.stages.parsing.parse_options import OcrMode
from tasks.stages.run_options import NightOptions, RunOptions

Look = Callable[[RunOptions], object]

# What is set, and where a run sees it.
REACHES_A_RUN: dict[str, tuple[str, Look, object]] = {
    "source": ("/docs", lambda run: run.sources, (Source(root=Path("/docs")),)),
    "store": ("/other", lambda run: run.store, "/other"),
    "collection": ("law", lambda run: run.collection, "law"),
    "include": ("*.md", lambda run: run.scan.include, ("*.md",)),
    "exclude": ("x*:y*", lambda run: run.scan.exclude, ("x*", "y*")),
    "extensions": ("TXT:.md", lambda run: run.scan.extensions, frozenset({".txt", ".md"})),
    "allow_outside_root": ("yes", lambda run: run.scan.allow_outside_root, True),
    "sidecars": ("no", lambda run: run.scan.sidecars, False),
    "folder_sidecar": ("x.json", lambda run: run.scan.folder_sidecar, "x.json"),
    "full": ("1", lambda run: run.change.full, True),
    "stored_text": ("yes", lambda run: (run.change.stored_text, run.sources), (True, ())),
    "retry_rejected": ("true", lambda run: run.change.retry_rejected, True),
    "keep_last_good": ("no", lambda run: run.change.keep_last_good, False),
    "allow_removal": ("on", lambda run: run.change.allow_removal, True),
    "tripwire_share": ("0.5", lambda run: run.change.tripwire_share, 0.5),
    "tripwire_min_documents": ("7", lambda run: run.change.tripwire_min_documents, 7),
    "single_writer": ("yes", lambda run: run.single_writer, True),
    "promote": ("false", lambda run: run.promote, False),
    "runner": ("dask", lambda run: (run.shared, run.parse_workers), (True, 0)),
    "parse_workers": ("3", lambda run: run.parse_workers, 3),
    "parse_timeout_s": ("9.5", lambda run: run.limits.wall_s, 9.5),
    "parse_memory_mib": ("512", lambda run: run.limits.memory_bytes, 512 << 20),
    "max_document_mib": ("3", lambda run: run.limits.file_bytes, 3 << 20),
    "batch_documents": ("11", lambda run: run.batch_documents, 11),
    "hidden_sheets": ("yes", lambda run: run.parsing.hidden_sheets, True),
    "ocr": ("auto", lambda run: run.parsing.ocr, OcrMode.AUTO),
    "ocr_languages": ("deu", lambda run: run.parsing.ocr_languages, "deu"),
    "ocr_timeout_s": ("9", lambda run: run.parsing.ocr_timeout_s, 9.0),
    "tika_url": ("http://tika:9998", lambda run: run.tika.url, "http://tika:9998"),
    "tika_timeout_s": ("7", lambda run: run.tika.timeout_s, 7.0),
    "max_chunk_tokens": ("300", lambda run: run.chunk.max_tokens, 300),
    "chunk_overlap_tokens": ("5", lambda run: run.chunk.overlap_tokens, 5),
    "splitter": ("window", lambda run: run.chunk.splitter, "window"),
    "context_line": ("on", lambda run: run.chunk.context_line, True),
    "min_chunk_chars": ("0", lambda run: run.chunk.min_chars, 0),
    "embedder": ("hashing:32", lambda run: run.embed.spec, "hashing:32"),
    "embed_dimension": ("32", lambda run: run.embed.dimension, 32),
    "embed_threads": ("4", lambda run: run.embed.threads, 4),
    "hnsw_m": ("16", lambda run: run.build.m, 16),
    "hnsw_ef_construction": ("50", lambda run: run.build.ef_construction, 50),
    "hnsw_ef_search": ("99", lambda run: run.build.ef_search, 99),
    "embed_api_key": ("k", lambda run: run.embed.remote.key, SecretStr("k")),
    "embed_url": ("http://a/v1", lambda run: run.embed.remote.base_url, "http://a/v1"),
    "embed_proxy": ("http://p", lambda run: run.embed.remote.proxy, "http://p"),
    "embed_ca_bundle": ("ca.pem", lambda run: run.embed.remote.ca_bundle, "ca.pem"),
    "embed_timeout_s": ("7", lambda run: run.embed.remote.timeout_s, 7.0),
    "embed_question_timeout_s": ("2", lambda run: run.embed.remote.question_timeout_s, 2.0),
    "embed_give_up_s": ("8", lambda run: run.embed.remote.pace.give_up_s, 8.0),
    "embed_requests_per_minute": (
        "60",
        lambda run: run.embed.remote.pace.requests_per_minute,
        60.0,
    ),
    "embed_tokens_per_minute": ("9", lambda run: run.embed.remote.pace.tokens_per_minute, 9.0),
    "embed_pace_file": ("pace", lambda run: run.embed.remote.pace.shared_file, "pace"),
    "embed_tokenizer": ("mistral", lambda run: run.embed.remote.tokenizer, "mistral"),
    "embed_fallback": (
        "http://b/v1 openai=http://c/v1",
        lambda run: run.embed.remote.fallbacks,
        ("http://b/v1", "openai=http://c/v1"),
    ),
    "embed_fallback_key": ("f", lambda run: run.embed.remote.fallback_key, SecretStr("f")),
    "embed_other": (
        "openai",
        lambda run: run.embed.remote.other,
        OtherEmbedder(name="openai"),
    ),
    "embed_fallback_after_s": ("5", lambda run: run.embed.remote.fallback_after_s, 5.0),
    "embed_pace_store": ("s3://b/p", lambda run: run.embed.remote.pace.shared_store, "s3://b/p"),
    "embed_in_flight": ("2", lambda run: run.embed.remote.limits.in_flight, 2),
    "embed_request_texts": ("32", lambda run: run.embed.remote.limits.texts, 32),
    "embed_request_tokens": ("99", lambda run: run.embed.remote.limits.tokens, 99),
    "embed_price": ("0.5", lambda run: run.embed.remote.price_per_million_tokens, 0.5),
    "embed_prices": (
        "a=0.5 b/c=2",
        lambda run: run.embed.remote.prices,
        (("a", 0.5), ("b/c", 2.0)),
    ),
    "budget": ("3", lambda run: run.embed.budget, 3.0),
    "shard_storage": ("flat", lambda run: run.build.storage, "flat"),
    "recall_gate": ("0.9", lambda run: run.build.recall.least, 0.9),
    "index_batch_rows": ("77", lambda run: run.build.add_batch_rows, 77),
    "max_shard_rows": ("1000", lambda run: run.build.max_shard_rows, 1000),
    "checkpoint_rows": ("500", lambda run: run.build.checkpoint_rows, 500),
    "exact_rows": ("0", lambda run: run.build.exact_rows, 0),
    "gate_engine": ("built-in", lambda run: run.gates.engine, EngineName.BUILT_IN),
    "gate_severity": (
        "outcomes=off golden=warn",
        lambda run: run.gates.severities,
        {"outcomes": Severity.OFF, "golden": Severity.WARN},
    ),
    "gate_probe_texts": ("0", lambda run: run.gates.probe_texts, 0),
    "gate_growth": ("9", lambda run: run.gates.growth, 9.0),
    "golden_questions": ("q.yaml", lambda run: run.gates.golden_path, "q.yaml"),
    "golden_hits": ("3", lambda run: run.gates.golden_hits, 3),
    "golden_drop": ("0.2", lambda run: run.gates.golden_drop, 0.2),
    "golden_least": ("0.8", lambda run: run.gates.golden_least, 0.8),
    "replay_log": ("audit.jsonl", lambda run: run.gates.replay_path, "audit.jsonl"),
    "replay_questions": ("7", lambda run: run.gates.replay_questions, 7),
    "replay_overlap": ("0.9", lambda run: run.gates.replay_overlap, 0.9),
    "embed_night_rate": ("true", lambda run: run.embed.night, NightOptions()),
}
# What only commands that look or serve heed, shown by tests of those.
ELSEWHERE = {
    "follow",
    "trace_url",
    "log_format",
    "memory_reserve_mib",
    "drain_s",
    "max_connections",
    "chat_url",
    "chat_models",
    "chat_api_key",
    "chat_temperature",
    "chat_max_tokens",
    "chat_at_once",
    "chat_queue",
    "chat_cooldown_s",
    "chat_events",
    "chat_sources_list",
    "prompt_pack",
    "context_tokens",
    "history_tokens",
    "api_keys",
    "user_token_secret",
    "requests_per_minute",
    "inbox",
    "inbox_max_mb",
    "inbox_prefect_url",
    "inbox_prefect_key",
    "inbox_deployment",
    "audit_log",
    "audit_questions",
    "search_k",
    "search_most_k",
    "search_good_score",
    "search_recency",
    "search_half_life_days",
    "rerank_shape",
    "rerank_url",
    "rerank_model",
    "rerank_api_key",
    "rerank_deadline_s",
    "rerank_candidates",
    "embed_other_url",
    "embed_other_key",
    "embed_other_key_file",
    "embed_key_file",
    "embed_key_block",
    "embed_night_texts",
    "embed_night_wait_s",
    "embed_night_poll_s",
    "mistral_api_key",
    "cluster",
    "notify_webhook",
    "notify_slack",
    "notify_email",
    "evaluation_questions",
    "judge_url",
    "judge_model",
    "judge_api_key",
    "files_host",
    "docs_root_dir",
    "host",
    "port",
    "poll_s",
    "log_level",
    "cache_dir",
    "cache_mib",
    "cache_folders",
}


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_no_setting_is_left_out():
    assert REACHES_A_RUN.keys() | ELSEWHERE >= Settings.model_fields.keys()


@pytest.mark.parametrize("name", REACHES_A_RUN)
def test_setting_reaches_the_run(name: str):
    given, look, expected = REACHES_A_RUN[name]
    environment = {"NIGHTPRESS_SOURCE": "/elsewhere", f"NIGHTPRESS_{name.upper()}": given}
    settings = load_settings({}, environment).settings
    assert look(run_options(settings, "run-1")) == expected
    default = load_settings({}, {"NIGHTPRESS_SOURCE": "/elsewhere"}).settings
    assert look(run_options(default, "run-1")) != expected


def test_the_settings_of_the_night_rate_reach_the_run_when_it_is_used():
    given = {"embed_night_texts": 7, "embed_night_wait_s": 60.0, "embed_night_poll_s": 2.0}
    used = Settings(source=("/docs",), embed_night_rate=True, **given)  # type: ignore[arg-type]
    expected = NightOptions(least_texts=7, wait_s=60.0, poll_s=2.0)
    assert run_options(used, "run-1").embed.night == expected
    unused = used.model_copy(update={"embed_night_rate": False})
    assert run_options(unused, "run-1").embed.night is None


def test_an_embedder_that_is_reached_otherwise_has_its_own_address_and_key(tmp_path: Path):
    kept = tmp_path / "key"
    kept.write_text("in a file\n")
    told = {"embed_other": "mistral", "embed_other_url": "http://m/v1"}
    by_file = remote_options(Settings(**told, embed_other_key_file=str(kept)))  # type: ignore[arg-type]
    expected = OtherEmbedder(name="mistral", base_url="http://m/v1", key=SecretStr("in a file"))
    assert by_file.other == expected
    by_value = remote_options(Settings(**told, embed_other_key=SecretStr("k")))  # type: ignore[arg-type]
    assert by_value.other == replace(expected, key=SecretStr("k"))


def test_the_key_of_one_provider_is_not_sent_to_another_that_made_a_version():
    told = {"embedder": "mistral", "embed_api_key": SecretStr("of mistral")}
    alone = remote_options(Settings(**told))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="set embed_other to openai"):
        open_embedder("openai:new@24", remote=alone)
    both = remote_options(Settings(**told, embed_other="openai"))  # type: ignore[arg-type]
    open_embedder("openai:new@24", remote=both).close()
    open_embedder("mistral:mistral-embed@1024", remote=alone).close()
    open_embedder("hashing:24", remote=alone).close()
    # Who names no provider has one key, for whatever made the version.
    unnamed = remote_options(Settings(embed_api_key=SecretStr("of openai")))
    assert unnamed.for_embedder("openai:new@24").key == SecretStr("of openai")


def test_an_embedder_cannot_be_its_own_other_one():
    with pytest.raises(UsageError, match=r"embed_other 'openai' .* embedder 'openai:new'"):
        remote_options(Settings(embedder="openai:new", embed_other="openai"))
    remote_options(Settings(embedder="openai:new", embed_other="openai:old"))


def test_mistral_is_known_by_its_own_key_beside_any_other_embedder():
    key = SecretStr("of mistral")
    beside = remote_options(Settings(embedder="openai:new", mistral_api_key=key))
    assert beside.key is None
    assert beside.for_embedder("mistral:mistral-embed@1024").key == key
    assert beside.for_embedder("openai:new").key is None
    assert remote_options(Settings(embedder="mistral", mistral_api_key=key)).other is None


def test_an_address_with_a_password_is_refused_by_the_name_of_its_setting():
    with pytest.raises(UsageError, match=r"embed_other_url .* give it as embed_other_key"):
        remote_options(Settings(embed_other="openai", embed_other_url="http://me:secret@host/v1"))


def test_all_text_from_the_sources_and_none_of_it_is_refused():
    for name in ("full", "retry_rejected"):
        with pytest.raises(UsageError, match=f"{name} parses .* set one of them"):
            run_options(Settings(**{name: True}, stored_text=True), "run-1")  # type: ignore[arg-type]


def test_zero_workers_and_threads_mean_one_per_available_core():
    run = run_options(Settings(source=("/docs",)), "run-1")
    assert run.parse_workers == run.embed.threads == available_cores()
    assert available_cores() <= (os.cpu_count() or 1)


def test_run_ids_differ_and_sort_by_time():
    first, second = new_run_id(), new_run_id()
    assert first != second
    assert first.partition("-")[0] <= second.partition("-")[0]


def test_a_run_without_source_or_with_an_ending_nobody_reads_is_refused():
    with pytest.raises(UsageError, match="no source given"):
        run_options(Settings(), "run-1")
    with pytest.raises(UsageError, match=r"no parser reads \.exe; there are: .*\.pdf"):
        run_options(Settings(source=("/docs",), extensions=(".pdf", ".exe")), "run-1")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, LinkOptions()),
        ({"files_host": "https://f"}, LinkOptions(base_url="https://f")),
        (
            {"files_host": "https://f", "docs_root_dir": "/srv", "source": ("/srv/law",)},
            LinkOptions(base_url="https://f", prefix="law"),
        ),
        (
            {"files_host": "https://f", "docs_root_dir": "/srv", "source": ("/elsewhere",)},
            LinkOptions(),
        ),
    ],
)
def test_hits_are_linked_below_the_served_folder_only(
    settings: dict[str, object], expected: LinkOptions
):
    assert link_options(Settings(**settings)) == expected  # type: ignore[arg-type]


def test_links_need_an_http_address():
    with pytest.raises(UsageError, match="expected http:// or https://"):
        link_options(Settings(files_host="javascript:alert"))


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"runner": "dask"}, "s3://b/p/.nightpress/pace/mistral"),
        ({"runner": "dask", "embed_pace_store": "s3://own"}, "s3://own"),
        ({"runner": "dask", "embed_pace_file": "pace"}, ""),
        ({"runner": "dask", "embedder": "offline"}, ""),
        ({}, ""),
    ],
)
def test_the_workers_of_one_run_share_a_limit_through_its_store(
    more: dict[str, str], expected: str
):
    given = {"source": "/x", "store": "s3://b/p/", "embedder": "mistral", **more}
    options = run_options(load_settings(given, {}).settings, "run-1")
    assert options.embed.remote.pace.shared_store == expected


def test_a_question_waits_for_no_store_and_no_other_address():
    settings = Settings(embed_pace_store="s3://own", embed_fallback=("http://b/v1",))
    asked = remote_options(settings)
    assert (asked.pace.shared_store, asked.fallbacks) == ("", ())


def test_a_key_is_read_from_a_file_and_never_shown(tmp_path: Path):
    (tmp_path / "key").write_text("from-a-file\n")
    settings = load_settings(
        {"embed_key_file": str(tmp_path / "key"), "source": ("/x",)}, {}
    ).settings
    options = run_options(settings, "run-1")
    assert options.embed.remote.key == SecretStr("from-a-file")
    assert "from-a-file" not in repr(options)
    missing = settings.model_copy(update={"embed_key_file": str(tmp_path / "no")})
    with pytest.raises(UsageError, match="embed_key_file .* cannot be read"):
        run_options(missing, "run-1")


def test_the_key_for_mistral_goes_to_nobody_else():
    environment = {"MISTRAL_API_KEY": "secret", "NIGHTPRESS_SOURCE": "/x"}
    for embedder, expected in (("mistral", SecretStr("secret")), ("openai:m@3", None)):
        settings = load_settings({"embedder": embedder}, environment).settings
        assert run_options(settings, "run-1").embed.remote.key == expected


def test_a_key_is_looked_for_where_the_settings_of_a_kept_flow_run_hold_none():
    masked = {"embed_api_key": "**********", "mistral_api_key": "**********"}
    environment = {"MISTRAL_API_KEY": "mistral's", "NIGHTPRESS_EMBED_API_KEY": "anybody's"}
    found = with_key(Settings(**masked), environment)  # type: ignore[arg-type]
    assert found.embed_api_key == SecretStr("anybody's")
    assert found.mistral_api_key == SecretStr("mistral's")
    file = with_key(Settings(embed_key_file="key"), environment)
    assert file.embed_api_key is None  # the file is read where it is needed
    given = with_key(Settings(embed_api_key=SecretStr("given")), environment)
    assert given.embed_api_key == SecretStr("given")
    assert with_key(Settings(), {}) == Settings()


def test_no_address_may_hold_a_password_but_that_of_a_proxy_which_is_not_shown():
    with pytest.raises(UsageError, match="embed_url holds a name or password") as refused:
        run_options(Settings(source=("/x",), embed_url="https://me:sesame@host/v1"), "run-1")
    assert "sesame" not in str(refused.value)
    settings = load_settings({"embed_proxy": "http://me:sesame@proxy", "source": "/x"}, {}).settings
    options = run_options(settings, "run-1")
    assert options.embed.remote.proxy == "http://me:sesame@proxy"
    assert "sesame" not in f"{settings!r}{options!r}{settings.model_dump_json()}"


def test_what_a_search_does_not_say_comes_from_the_settings():
    given = {
        "search_k": "4",
        "search_most_k": "12",
        "search_good_score": "0.5",
        "search_recency": "0.2",
        "search_half_life_days": "90",
    }
    settings = load_settings(given, {}).settings
    k, adaptive, recency = shown_hits(settings, AskedHits(None, None, None, None, None))
    assert (k, adaptive) == (4, AdaptiveK(good_score=0.5, enough=4, step=4, most=12))
    assert recency is not None
    assert (recency.weight, recency.half_life_days) == (0.2, 90.0)
    k, adaptive, recency = shown_hits(settings, AskedHits(3, None, None, 0.0, None))
    assert (k, adaptive, recency) == (3, None, None)
    k, adaptive, recency = shown_hits(settings, AskedHits(3, 6, 0.1, 0.4, 7.0))
    assert adaptive == AdaptiveK(good_score=0.1, enough=3, step=3, most=6)
    assert recency is not None
    assert (recency.weight, recency.half_life_days) == (0.4, 7.0)


def test_the_settings_of_reranking_reach_the_retriever():
    assert rerank_options(load_settings({}, {}).settings) is None
    given = {
        "rerank_shape": "jina",
        "rerank_url": "http://judge/v1/rerank",
        "rerank_model": "m",
        "rerank_api_key": "secret",
        "rerank_deadline_s": 0.5,
        "rerank_candidates": 20,
    }
    assert rerank_options(load_settings(given, {}).settings) == RerankOptions(
        shape=RerankShape.JINA,
        url="http://judge/v1/rerank",
        model="m",
        api_key="secret",
        deadline_s=0.5,
        candidates=20,
    )
