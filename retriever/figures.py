"""What the service counts and measures, as Prometheus reads it.

Invariant: labels are routes, stages and codes of a fixed set; never a question, a user or a path
that somebody made up.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from retriever.store import StoreState

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
        self._age = Gauge(
            "rag_version_age_seconds", "Since publication", ["collection"], registry=self._registry
        )
        self._rows = Gauge(
            "rag_version_rows", "Chunks that can be found", ["collection"], registry=self._registry
        )
        self._behind = Gauge(
            "rag_version_behind",
            "1 while another version than the wanted one answers",
            ["collection"],
            registry=self._registry,
        )

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
        for each in state.collections:
            if each.published_at_ms is not None:
                self._age.labels(each.name).set(max(0, now_ms - each.published_at_ms) / 1000)
            self._rows.labels(each.name).set(each.rows)
            self._behind.labels(each.name).set(int(each.version != each.wanted))
        return bytes(generate_latest(self._registry))
