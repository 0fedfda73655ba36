"""From settings to the options of a run; the only place that reads machine, clock and chance."""

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from urllib.parse import urlsplit

from pydantic import SecretStr

from flows.settings import NightSettings, Settings
from index_store.cache import CacheOptions
from index_store.embedder import RequestLimits
from index_store.embedders.prices import parse_prices
from index_store.embedders.registry import MISTRAL, REMOTE
from index_store.embedders.remote.options import (
    PACE_FOLDER,
    OtherEmbedder,
    PaceOptions,
    RemoteOptions,
)
from index_store.errors import UsageError
from index_store.shard_options import RecallOptions
from tasks.stages.chunking.options import ChunkOptions
from tasks.stages.gating.options import OTHER_GATES, EngineName, GateOptions, parse_severities
from tasks.stages.gating.suites import expectation_names
from tasks.stages.listing import ScanOptions, parse_sources
from tasks.stages.parsing.limits import Limits
from tasks.stages.parsing.parse_options import OcrMode, ParseOptions
from tasks.stages.parsing.registry import SUPPORTED_EXTENSIONS
from tasks.stages.parsing.tika import TikaOptions
from tasks.stages.run_options import (
    BuildOptions,
    ChangeOptions,
    EmbedOptions,
    NightOptions,
    RunOptions,
)

MEBIBYTE = 1 << 20


def new_run_id() -> str:
    """Return an id that no other run has; ids sort by the time they were made."""
    return f"{datetime.now(UTC):%Y%m%dt%H%M%Sz}-{token_hex(4)}"


def cache_options(settings: Settings) -> CacheOptions:
    """Return where readers keep copies of a store without local files."""
    return CacheOptions(
        folder=Path(settings.cache_dir),
        limit_bytes=settings.cache_mib * MEBIBYTE,
        copy_folders=settings.cache_folders,
    )


def build_options(settings: NightSettings) -> BuildOptions:
    """Return how shards are built and searched."""
    return BuildOptions(
        m=settings.hnsw_m,
        ef_construction=settings.hnsw_ef_construction,
        ef_search=settings.hnsw_ef_search,
        add_batch_rows=settings.index_batch_rows,
        max_shard_rows=settings.max_shard_rows,
        checkpoint_rows=settings.checkpoint_rows,
        threads=available_cores(),
        exact_rows=settings.exact_rows,
        storage=settings.shard_storage,
        recall=RecallOptions(least=settings.recall_gate),
    )


def gate_options(settings: NightSettings) -> GateOptions:
    """Return how versions are judged.

    Raises:
        UsageError: A severity is no word, or belongs to no expectation.
    """
    severities = parse_severities(settings.gate_severity)
    known = {*expectation_names(), *(name.partition("/")[0] for name in expectation_names())}
    unknown = sorted(severities.keys() - known - set(OTHER_GATES))
    if unknown:
        raise UsageError(
            f"setting 'gate_severity': no expectation is named {' '.join(unknown)}; there are: "
            f"{' '.join((*expectation_names(), *OTHER_GATES))}"
        )
    return GateOptions(
        engine=EngineName(settings.gate_engine),
        severities=severities,
        probe_texts=settings.gate_probe_texts,
        growth=settings.gate_growth,
        golden_path=settings.golden_questions,
        golden_hits=settings.golden_hits,
        golden_drop=settings.golden_drop,
        golden_least=settings.golden_least,
        replay_path=settings.replay_log,
        replay_questions=settings.replay_questions,
        replay_overlap=settings.replay_overlap,
    )


def remote_options(settings: NightSettings, *, in_run: bool = False) -> RemoteOptions:
    """Return how an embedding provider over the network is reached.

    Args:
        settings: What the person set.
        in_run: Whether texts are embedded. A question waits for no store and for no comparison of
            addresses, and who asks it may not write to a store.

    Raises:
        UsageError: The file of a key cannot be read, an address holds a password, or the embedder
            shall be another one than itself.
    """
    for name in ("embed_url", "embed_other_url"):
        if "@" in urlsplit(getattr(settings, name)).netloc:
            key = "embed_api_key" if name == "embed_url" else "embed_other_key"
            raise UsageError(
                f"{name} holds a name or password, which would be shown; give it as {key}"
            )
    return RemoteOptions(
        base_url=settings.embed_url,
        key=_key(settings),
        timeout_s=settings.embed_timeout_s,
        question_timeout_s=settings.embed_question_timeout_s,
        proxy=settings.embed_proxy.get_secret_value(),
        ca_bundle=settings.embed_ca_bundle,
        limits=RequestLimits(
            texts=settings.embed_request_texts,
            tokens=settings.embed_request_tokens,
            in_flight=settings.embed_in_flight,
        ),
        pace=PaceOptions(
            requests_per_minute=settings.embed_requests_per_minute,
            tokens_per_minute=settings.embed_tokens_per_minute,
            shared_file=settings.embed_pace_file,
            shared_store=_pace_store(settings) if in_run else "",
            give_up_s=settings.embed_give_up_s,
        ),
        tokenizer=settings.embed_tokenizer,
        fallbacks=settings.embed_fallback if in_run else (),
        fallback_key=settings.embed_fallback_key,
        fallback_after_s=settings.embed_fallback_after_s,
        price_per_million_tokens=settings.embed_price,
        prices=parse_prices(settings.embed_prices),
        other=_other_embedder(settings),
        provider=_provider(settings),
    )


def _other_embedder(settings: NightSettings) -> OtherEmbedder | None:
    """Return which embedder is reached otherwise; Mistral is by its own key, which is set often."""
    if settings.embed_other:
        other = OtherEmbedder(
            name=settings.embed_other,
            base_url=settings.embed_other_url,
            key=settings.embed_other_key
            or _key_in_file("embed_other_key_file", settings.embed_other_key_file),
        )
        if other.is_meant_by(settings.embedder):
            raise UsageError(
                f"embed_other {settings.embed_other!r} means the embedder "
                f"{settings.embedder!r} too; name the model of the other one"
            )
        return other
    if settings.mistral_api_key is not None and not settings.embedder.startswith(MISTRAL):
        return OtherEmbedder(name=MISTRAL, key=settings.mistral_api_key)
    return None


def _provider(settings: NightSettings) -> str:
    """Return whose address and key are set; empty when no provider is named."""
    provider = settings.embedder.partition(":")[0]
    return provider if provider in REMOTE else ""


def _pace_store(settings: NightSettings) -> str:
    """Return through which store a limit is shared; workers of one run always share it."""
    provider = _provider(settings)
    is_spread = settings.runner != "threads" and provider
    if settings.embed_pace_store or settings.embed_pace_file or not is_spread:
        return settings.embed_pace_store
    return f"{settings.store.rstrip('/')}/{PACE_FOLDER}{provider}"


def night_options(settings: NightSettings) -> NightOptions | None:
    """Return how the night rate is used, None when it is not."""
    if not settings.embed_night_rate:
        return None
    return NightOptions(
        least_texts=settings.embed_night_texts,
        wait_s=settings.embed_night_wait_s,
        poll_s=settings.embed_night_poll_s,
    )


def _key(settings: NightSettings) -> SecretStr | None:
    if settings.embed_api_key is not None:
        return settings.embed_api_key
    if settings.embed_key_file:
        return _key_in_file("embed_key_file", settings.embed_key_file)
    return settings.mistral_api_key if settings.embedder.startswith(MISTRAL) else None


def _key_in_file(setting: str, path: str) -> SecretStr | None:
    if not path:
        return None
    try:
        return SecretStr(Path(path).read_text(encoding="utf-8").strip())
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{setting} {path!r} cannot be read: {error}") from None


def available_cores() -> int:
    """Return how many cores this process may use, at least 1."""
    return max(1, len(os.sched_getaffinity(0)))


def _scan_options(settings: NightSettings) -> ScanOptions:
    """Return which files are documents; raises as `run_options` does."""
    unknown = sorted(set(settings.extensions) - SUPPORTED_EXTENSIONS)
    if unknown:
        supported = " ".join(sorted(SUPPORTED_EXTENSIONS))
        raise UsageError(
            f"setting 'extensions': no parser reads {' '.join(unknown)}; there are: {supported}"
        )
    return ScanOptions(
        extensions=frozenset(settings.extensions),
        include=settings.include,
        exclude=settings.exclude,
        allow_outside_root=settings.allow_outside_root,
        sidecars=settings.sidecars,
        folder_sidecar=settings.folder_sidecar,
    )


def _change_options(settings: NightSettings) -> ChangeOptions:
    parses = [name for name in ("full", "retry_rejected") if getattr(settings, name)]
    if settings.stored_text and parses:
        raise UsageError(
            f"{parses[0]} parses documents anew and stored_text reads none; set one of them"
        )
    return ChangeOptions(
        full=settings.full,
        stored_text=settings.stored_text,
        retry_rejected=settings.retry_rejected,
        keep_last_good=settings.keep_last_good,
        allow_removal=settings.allow_removal,
        tripwire_share=settings.tripwire_share,
        tripwire_min_documents=settings.tripwire_min_documents,
    )


def run_options(settings: NightSettings, run: str) -> RunOptions:
    """Return the options of one run.

    Args:
        settings: What the person set.
        run: Id of the run.

    Raises:
        UsageError: A source is missing from the settings, an extension has no parser, or settings
            contradict each other.
    """
    shared = settings.runner != "threads"
    cores = 0 if shared else available_cores()  # 0: each machine takes as many as it has
    return RunOptions(
        run=run,
        store=settings.store,
        collection=settings.collection,
        sources=() if settings.stored_text else parse_sources(settings.source),
        scan=_scan_options(settings),
        change=_change_options(settings),
        limits=Limits(
            wall_s=settings.parse_timeout_s,
            memory_bytes=settings.parse_memory_mib * MEBIBYTE,
            file_bytes=settings.max_document_mib * MEBIBYTE,
        ),
        parsing=ParseOptions(
            hidden_sheets=settings.hidden_sheets,
            ocr=OcrMode(settings.ocr),
            ocr_languages=settings.ocr_languages,
            ocr_timeout_s=settings.ocr_timeout_s,
        ),
        tika=TikaOptions(url=settings.tika_url, timeout_s=settings.tika_timeout_s),
        chunk=ChunkOptions(
            max_tokens=settings.max_chunk_tokens,
            overlap_tokens=settings.chunk_overlap_tokens,
            min_chars=settings.min_chunk_chars,
            splitter=settings.splitter,
            context_line=settings.context_line,
        ),
        embed=EmbedOptions(
            spec=settings.embedder,
            threads=settings.embed_threads or cores,
            dimension=settings.embed_dimension,
            remote=remote_options(settings, in_run=True),
            budget=settings.budget,
            night=night_options(settings),
        ),
        build=replace(build_options(settings), threads=cores),
        gates=gate_options(settings),
        parse_workers=settings.parse_workers or cores,
        batch_documents=settings.batch_documents,
        promote=settings.promote,
        single_writer=settings.single_writer,
        shared=shared,
    )
