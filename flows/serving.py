"""The command `nightpress serve`."""

import click

from flows.links import link_options
from flows.run_settings import cache_options, remote_options
from flows.settings import Settings
from retriever.options import RetrieverOptions
from retriever.reranking import RerankOptions, RerankShape
from retriever.server import serve


def serve_store(settings: Settings) -> None:
    """Serve a store until interrupted."""
    options = RetrieverOptions(
        store=settings.store,
        host=settings.host,
        port=settings.port,
        poll_s=settings.poll_s,
        exact_rows=settings.exact_rows,
        links=link_options(settings),
        cache=cache_options(settings),
        remote=remote_options(settings),
    )
    click.echo(
        f"serving {settings.store} on http://{settings.host}:{settings.port}; see /status",
        err=True,
    )
    serve(options)


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
