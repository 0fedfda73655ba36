"""Spans for OpenTelemetry, by setting; without it nothing is loaded and nothing is sent.

Needs the extra `otel`. Invariant: a span holds names of routes and collections, versions, counts
and times; never a question, a document, a user or a key.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Protocol

from index_store.errors import UsageError

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

Told = dict[str, str | int | float]
SERVICE = "nightpress-retriever"
EXPORT_S = 5.0  # for one batch of spans


class Tracing(Protocol):
    """Notes what took how long."""

    def span(
        self, name: str, headers: Mapping[str, str] | None = None
    ) -> AbstractContextManager[Told]:
        """Measure a block; what is put into the mapping is told with it.

        Args:
            name: What the block does.
            headers: Of a request, whose own trace goes on here; None inside of one.
        """
        ...

    def close(self) -> None:
        """Send what is left; calling it twice is harmless."""
        ...


class NoTracing:
    """Notes nothing."""

    def span(
        self,
        name: str,  # noqa: ARG002 - the protocol's
        headers: Mapping[str, str] | None = None,  # noqa: ARG002 - the protocol's
    ) -> AbstractContextManager[Told]:
        """Do nothing."""
        return nullcontext({})

    def close(self) -> None:
        """Do nothing."""


class OtelTracing:
    """Sends spans to a collector, in batches, from a thread of its own.

    Args:
        url: Whole address that takes traces, such as `http://collector:4318/v1/traces`.

    Raises:
        UsageError: The extra is not installed, or the address is not one of HTTP.
    """

    def __init__(self, url: str) -> None:
        if not url.startswith(("http://", "https://")):
            raise UsageError(f"trace_url {url!r} must begin with http:// or https://")
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
                OTLPSpanExporter,
            )
            from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - slow to load
            from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - slow to load
            from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        except ImportError as error:
            raise UsageError("trace_url needs OpenTelemetry: install nightpress[otel]") from error
        self._provider = TracerProvider(
            resource=Resource({"service.name": SERVICE}), shutdown_on_exit=False
        )
        exporter = OTLPSpanExporter(endpoint=url, timeout=EXPORT_S)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer: Tracer = self._provider.get_tracer(SERVICE)

    @contextmanager
    def span(self, name: str, headers: Mapping[str, str] | None = None) -> Iterator[Told]:
        """Measure a block; see `Tracing`."""
        from opentelemetry.trace import SpanKind  # noqa: PLC0415 - slow to load
        from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415 - likewise
            TraceContextTextMapPropagator,
        )

        told: Told = {}
        parent = None
        kind = SpanKind.INTERNAL
        if headers is not None:
            parent, kind = TraceContextTextMapPropagator().extract(headers), SpanKind.SERVER
        started = self._tracer.start_as_current_span(
            name, context=parent, kind=kind, record_exception=False
        )
        with started as span:
            try:
                yield told
            finally:
                _tell(span, told)

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()


def open_tracing(url: str) -> Tracing:
    """Return where spans go; an empty address sends none.

    Raises:
        UsageError: The extra is not installed, or the address is not one of HTTP.
    """
    return OtelTracing(url) if url else NoTracing()


def _tell(span: "Span", told: Told) -> None:
    name = told.pop("name", None)
    if name is not None:
        span.update_name(str(name))
    span.set_attributes(told)
