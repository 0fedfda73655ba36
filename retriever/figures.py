"""What the service counts and measures, as Prometheus reads it.

Invariant: labels are routes, stages and codes of a fixed set; never a question, a user or a path
that somebody made up.
"""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from retriever.states import StoreState

OTHER = "other"


class Figures:
    """The figures of one process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "rag_requests",
            "Requests that were answered",
            ["route", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "rag_request_duration_seconds",
            "Until the last byte",
            ["route"],
            registry=self._registry,
        )
        self._errors = Counter(
            "rag_errors", "Answers with status 500 and above", ["route"], registry=self._registry
        )
        self._stages = Histogram(
            "rag_stage_duration_seconds", "Of one stage", ["stage"], registry=self._registry
        )
        self._states = _States()
        self._registry.register(self._states)

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)
        if status >= 500:
            self._errors.labels(route).inc()

    def stage(self, name: str, seconds: float) -> None:
        """Measure a stage of a request."""
        self._stages.labels(name).observe(seconds)

    def page(self, state: StoreState, now_ms: int) -> bytes:
        """Return all figures in Prometheus' text format."""
        self._states.look(state, now_ms)
        return bytes(generate_latest(self._registry))


class _States(Collector):
    """What the collections' states say, read anew for every page."""

    def __init__(self) -> None:
        self._state = StoreState(collections=(), error=None, not_ready=None)
        self._now_ms = 0

    def look(self, state: StoreState, now_ms: int) -> None:
        """Take the state that the next page shows."""
        self._state, self._now_ms = state, now_ms

    def collect(self) -> Iterator[Metric]:
        """Yield the figures of all collections."""
        age = _gauge("rag_version_age_seconds", "Since publication")
        rows = _gauge("rag_version_rows", "Chunks that can be found")
        behind = _gauge("rag_version_behind", "1 while another version than the wanted one answers")
        refused = GaugeMetricFamily(
            "rag_version_refused",
            "1 for the reason why the wanted version does not answer",
            labels=["collection", "reason"],
        )
        swaps = CounterMetricFamily(
            "rag_swaps", "Versions that were to be served", labels=["collection", "outcome"]
        )
        seconds = CounterMetricFamily(
            "rag_swap_seconds", "Opening and warming, in all tries", labels=["collection"]
        )
        for each in self._state.collections:
            name = [each.name]
            if each.published_at_ms is not None:
                age.add_metric(name, max(0, self._now_ms - each.published_at_ms) / 1000)
            rows.add_metric(name, each.rows)
            behind.add_metric(name, int(each.version != each.wanted))
            if each.reason is not None:
                refused.add_metric([each.name, each.reason.value], 1)
            swaps.add_metric([each.name, "done"], each.swaps.done)
            swaps.add_metric([each.name, "failed"], each.swaps.failed)
            swaps.add_metric([each.name, "fallback"], each.swaps.fallbacks)
            seconds.add_metric(name, each.swaps.seconds)
        if self._state.cache_bytes is not None:
            copies = "Local copies of artifacts"
            yield GaugeMetricFamily("rag_cache_bytes", copies, value=self._state.cache_bytes)
        yield from (age, rows, behind, refused, swaps, seconds)


def _gauge(name: str, what: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, what, labels=["collection"])
