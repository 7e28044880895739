"""What Prometheus reads at ``/metrics``, in a registry of the app's own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from allocator.service.database import UnavailableError

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0)
BATCH = (1, 2, 4, 8, 16, 32, 64, 128, 256, 1024)

Used = Iterable[tuple[str, str, float]]


class Metrics:
    """Counters and histograms of one app."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "allocate_requests", "Requests answered.", ("method", "route", "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "allocate_request_seconds", "Time to answer.", ("route",), buckets=SECONDS, registry=self.registry
        )
        self._decisions = Counter(
            "allocate_decisions", "Decisions, by what came of them.", ("result",), registry=self.registry
        )
        self._batch = Histogram(
            "allocate_decision_batch", "Decisions written at once.", buckets=BATCH, registry=self.registry
        )
        self._outcomes = Counter(
            "allocate_outcomes", "Outcomes, by what came of them.", ("result",), registry=self.registry
        )
        self._finished = Counter(
            "allocate_jobs_finished", "Jobs that ended.", ("kind", "status"), registry=self.registry
        )

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def decided(self, results: Mapping[str, int]) -> None:
        """Count a batch of decisions by result."""
        for result, count in results.items():
            self._decisions.labels(result).inc(count)
        self._batch.observe(sum(results.values()))

    def outcome(self, result: str) -> None:
        """Count an outcome."""
        self._outcomes.labels(result).inc()

    def finished(self, kind: str, status: str) -> None:
        """Count a job that ended."""
        self._finished.labels(kind, status).inc()

    def watch(self, jobs: Callable[[], Mapping[str, int]], used: Callable[[], Used]) -> None:
        """Read the number of jobs by status, and the used share of limits, whenever metrics are asked for."""
        self.registry.register(_Present(jobs, used))

    def text(self) -> bytes:
        """Return everything as text."""
        return generate_latest(self.registry)


class _Present(Collector):
    """What is so now."""

    def __init__(self, jobs: Callable[[], Mapping[str, int]], used: Callable[[], Used]) -> None:
        self._jobs, self._used = jobs, used

    def describe(self) -> list[Metric]:
        """Name nothing beforehand: registering must not read the database."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Read the numbers."""
        answers = GaugeMetricFamily("allocate_database_up", "Whether the database answers.", value=1)
        jobs = GaugeMetricFamily("allocate_jobs", "Jobs kept, by status.", labels=("status",))
        used = GaugeMetricFamily(
            "allocate_limit_used_ratio", "Share of a limit that is used or held.", labels=("plan", "limit")
        )
        try:
            for status, count in self._jobs().items():
                jobs.add_metric((status,), count)
            for plan, limit, share in self._used():
                used.add_metric((plan, limit), share)
        except UnavailableError:  # what this process counted is asked for most at such times
            answers = GaugeMetricFamily("allocate_database_up", "Whether the database answers.", value=0)
        yield from (answers, jobs, used)
