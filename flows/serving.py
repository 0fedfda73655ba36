"""The commands `nightpress serve` and `nightpress key`."""

import gc
import hashlib
import secrets

import click

from flows.console import print_json
from flows.links import link_options
from flows.run_settings import cache_options, remote_options
from flows.settings import Settings
from index_store.errors import UsageError
from retriever.access import AccessOptions, parse_keys
from retriever.audit import AuditOptions
from retriever.chat.options import ChatOptions, ModelOptions, PromptOptions
from retriever.chat.prompting import check_pack
from retriever.inbox import InboxOptions
from retriever.logs import set_up_logs
from retriever.options import RetrieverOptions
from retriever.patience_options import Patience
from retriever.reranking import RerankOptions, RerankShape
from retriever.server import serve


def serve_store(settings: Settings) -> None:
    """Serve a store until interrupted."""
    options = RetrieverOptions(
        store=settings.store,
        host=settings.host,
        port=settings.port,
        poll_s=settings.poll_s,
        follow=settings.follow,
        drain_s=settings.drain_s,
        trace_url=settings.trace_url,
        patience=Patience(connections=settings.max_connections),
        memory_reserve_mib=settings.memory_reserve_mib,
        exact_rows=settings.exact_rows,
        default_k=settings.search_k,
        most_k=settings.search_most_k,
        good_score=settings.search_good_score,
        recency=settings.search_recency,
        half_life_days=settings.search_half_life_days,
        links=link_options(settings),
        cache=cache_options(settings),
        remote=remote_options(settings),
        rerank=rerank_options(settings),
        chat=chat_options(settings),
        access=AccessOptions(
            keys=parse_keys(settings.api_keys), user_secret=settings.user_token_secret
        ),
        audit=AuditOptions(path=settings.audit_log, questions=settings.audit_questions),
        inbox=InboxOptions(
            folder=settings.inbox,
            max_bytes=settings.inbox_max_mb << 20,
            endings=frozenset(settings.extensions),
            prefect_url=settings.inbox_prefect_url,
            deployment=settings.inbox_deployment,
            prefect_key=settings.inbox_prefect_key,
        ),
        requests_per_minute=settings.requests_per_minute,
    )
    set_up_logs(settings.log_level, as_json=settings.log_format == "json")
    click.echo(
        f"serving {settings.store} on http://{settings.host}:{settings.port}; see /status",
        err=True,
    )
    gc.freeze()  # what is loaded stays, and is not looked through again
    gc.enable()
    serve(options)


def chat_options(settings: Settings) -> ChatOptions:
    """Return how the retriever answers in words.

    Raises:
        UsageError: There is no such prompt pack, or an address without a model.
    """
    if settings.chat_url and not settings.chat_models:
        raise UsageError("chat_url is set, but chat_models names no model")
    key = settings.chat_api_key
    if key is None and "mistral.ai" in settings.chat_url:
        key = settings.mistral_api_key
    return ChatOptions(
        model=ModelOptions(
            base_url=settings.chat_url,
            key=key,
            models=settings.chat_models,
            temperature=settings.chat_temperature,
            max_tokens=settings.chat_max_tokens,
            cooldown_s=settings.chat_cooldown_s,
            at_once=settings.chat_at_once,
            queue=settings.chat_queue,
        ),
        prompt=PromptOptions(
            pack=check_pack(settings.prompt_pack),
            context_tokens=settings.context_tokens,
            history_tokens=settings.history_tokens,
        ),
        good_score=settings.search_good_score,
        events=settings.chat_events,
        sources_list=settings.chat_sources_list,
    )


def make_key(name: str, scopes: tuple[str, ...], *, as_json: bool) -> None:
    """Print a new key, which is shown once, and the line that lets it in.

    Raises:
        UsageError: The name or a scope is not one.
    """
    key = f"np-{secrets.token_urlsafe(32)}"
    digest = hashlib.sha256(key.encode()).hexdigest()
    line = f"{name}:{','.join(sorted(set(scopes)))}:{digest}"
    parse_keys((line,))
    if as_json:
        print_json({"name": name, "key": key, "api_keys": line})
        return
    click.echo(key)
    click.echo(f"it is not shown again; let it in with: NIGHTPRESS_API_KEYS='{line}'", err=True)


def rerank_options(settings: Settings) -> RerankOptions | None:
    """Return who reranks, or None.

    Raises:
        UsageError: The address is missing.
    """
    if settings.rerank_shape == "none":
        return None
    key = settings.rerank_api_key
    return RerankOptions(
        shape=RerankShape(settings.rerank_shape),
        url=settings.rerank_url,
        model=settings.rerank_model,
        api_key="" if key is None else key.get_secret_value(),
        deadline_s=settings.rerank_deadline_s,
        candidates=settings.rerank_candidates,
    )
